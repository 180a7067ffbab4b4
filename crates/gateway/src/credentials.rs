//! The form by which a browser signs in: a name and a password, and what it lacks of them.

use chassis::http::Problem;
use chassis::http::fields::Form;

/// Who signs in.
pub(crate) struct Credentials<'f> {
    pub(crate) username: &'f str,
    pub(crate) password: &'f str,
}

/// Reads the form of a sign-in.
pub(crate) fn credentials(form: &Form) -> Result<Credentials<'_>, Problem> {
    let both = form.require("username").zip(form.require("password"));
    let both = both.map(|(username, password)| Credentials { username, password });
    both.ok_or_else(|| incomplete(form))
}

/// What a form of a sign-in lacks.
fn incomplete(form: &Form) -> Problem {
    let lacks = ["username", "password"].into_iter().filter(|name| form.get(name).is_none());
    let problem = Problem::bad_request("a name and a password are needed");
    lacks.fold(problem, |problem, name| problem.field(name, "is missing", None))
}
