//! Who may sign up under which name, and what a token request asks for: decided from text alone.

use chassis::http::Problem;
use chassis::http::fields::{Fields, Form};
use chassis::text;

/// Characters a password has at least.
pub(super) const PASSWORD_CHARS_MIN: usize = 8;
/// Characters a password has at most.
pub(super) const PASSWORD_CHARS_MAX: usize = 128;
/// Characters before the `@` of a username.
const LOCAL_CHARS_MAX: usize = 64;
/// Characters behind it.
const DOMAIN_CHARS_MAX: usize = 190;
/// Characters a nickname may have.
const NICKNAME_CHARS_MAX: usize = 100;
/// Characters an address may have.
const ADDRESS_CHARS_MAX: usize = 500;

/// A sign-up, sound.
#[derive(Debug)]
pub(super) struct SignUp {
    pub(super) username: String,
    pub(super) password: String,
    pub(super) nickname: String,
    pub(super) address: String,
}

/// What a token request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// By a user's name and password.
    Password { username: String, password: String },
    /// By a refresh token.
    Refresh { token: String },
    /// As the client itself.
    Client,
}

impl SignUp {
    /// Reads the body of a sign-up.
    pub(super) fn read(mut fields: Fields) -> Result<SignUp, Problem> {
        fields.require("username");
        fields.require("password");
        let username = fields.typed("username").map(|name| spelled(&name));
        if username.as_deref().is_some_and(|name| !is_username(name)) {
            fields.note("username", "must be an e-mail address in lower case letters", None);
        }
        let password = password(&mut fields);
        let nickname = fields.text("nickname", NICKNAME_CHARS_MAX);
        let address = fields.text("address", ADDRESS_CHARS_MAX);
        fields.finish()?;
        Ok(SignUp {
            username: username.unwrap_or_default(),
            password: password.unwrap_or_default(),
            nickname: nickname.unwrap_or_default(),
            address: address.unwrap_or_default(),
        })
    }
}

/// A new password in the form that it is hashed in; `None` where it is noted as none.
fn password(fields: &mut Fields) -> Option<String> {
    let typed = fields.typed("password")?;
    if text::is_hopelessly_long(&typed, PASSWORD_CHARS_MAX) {
        note_length(fields, "most", PASSWORD_CHARS_MAX);
        return None;
    }
    let Ok(password) = text::opaque(&typed) else {
        let reason = "must not be empty nor hold characters that cannot be seen or do not exist";
        fields.note("password", reason, None);
        return None;
    };
    match password.chars().count() {
        ..PASSWORD_CHARS_MIN => note_length(fields, "least", PASSWORD_CHARS_MIN),
        PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX => {}
        _ => note_length(fields, "most", PASSWORD_CHARS_MAX),
    }
    Some(password)
}

fn note_length(fields: &mut Fields, bound: &str, limit: usize) {
    let reason = format!("must have at {bound} {limit} characters");
    fields.note("password", reason, Some(limit.into()));
}

/// A username as it is stored and looked up: without blanks around it, in lower case.
pub(super) fn spelled(typed: &str) -> String {
    typed.trim().to_lowercase()
}

/// `[a-z0-9._+-]{1,64}@[a-z0-9.-]{1,190}`, and no name that a page's `.html` could be taken for.
pub(super) fn is_username(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    let Some((local, domain)) = name.split_once('@') else { return false };
    (1..=LOCAL_CHARS_MAX).contains(&local.len())
        && (1..=DOMAIN_CHARS_MAX).contains(&domain.len())
        && local.chars().all(|c| plain(c) || matches!(c, '_' | '+'))
        && domain.chars().all(plain)
        && !name.ends_with(".html")
}

impl Grant {
    /// Name and password as they are stored and hashed; what can be no name or no password is nobody's.
    fn by_password(username: &str, password: &str) -> Result<Grant, &'static str> {
        let username = spelled(username);
        if !is_username(&username) {
            return Err("invalid_grant");
        }
        // Looked at before it is composed and hashed, which costs time by its length.
        if text::is_hopelessly_long(password, PASSWORD_CHARS_MAX) {
            return Err("invalid_grant");
        }
        let password = text::opaque(password).map_err(|_| "invalid_grant")?;
        Ok(Grant::Password { username, password })
    }

    /// Reads a form; the error is RFC 6749's word.
    pub(super) fn read(form: &Form) -> Result<Grant, &'static str> {
        // All of them are looked for at once, so that the description, which asks this reader, names all.
        let kind = form.require("grant_type");
        let [username, password, token] =
            ["username", "password", "refresh_token"].map(|name| form.get(name));
        match given(kind)? {
            "password" => Grant::by_password(given(username)?, given(password)?),
            "refresh_token" => Ok(Grant::Refresh { token: given(token)?.to_owned() }),
            "client_credentials" => Ok(Grant::Client),
            _ => Err("unsupported_grant_type"),
        }
    }
}

/// A field that a grant needs.
fn given(text: Option<&str>) -> Result<&str, &'static str> {
    text.ok_or("invalid_request")
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_username_is_accepted_or_refused() {
        let local = "l".repeat(LOCAL_CHARS_MAX);
        let domain = "d".repeat(DOMAIN_CHARS_MAX);
        let cases = [
            ("1@uengine.org", true),
            ("a.b_c+d-e@x-y.z", true),
            (&format!("{local}@{domain}"), true),
            (&format!("{local}l@{domain}"), false),
            (&format!("{local}@{domain}d"), false),
            ("@x", false),
            ("a@", false),
            ("a", false),
            ("a@b@c", false),
            ("A@x", false),
            ("a b@x", false),
            ("a@x_y", false),
            ("유@x", false),
            ("a@x.html", false),
            ("a@x.htm", true),
        ];
        for (name, accepted) in cases {
            assert_eq!(is_username(name), accepted, "{name}");
        }
    }

    fn wrong(body: &Value) -> Vec<String> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let fields = Fields::parse(&headers, body.to_string().as_bytes()).expect("an object");
        match SignUp::read(fields) {
            Ok(_) => Vec::new(),
            Err(problem) => problem.errors().iter().map(|error| error.field.clone()).collect(),
        }
    }

    #[test]
    fn a_sign_up_is_accepted_at_its_limits_and_refused_past_them() {
        let body = |name: &str, value: Value| {
            let mut body = json!({"username": "New@Example.org", "password": "12345678"});
            body[name] = value;
            body
        };
        let text = |length: usize| json!("가".repeat(length));
        let cases = [
            ("password", text(PASSWORD_CHARS_MIN), text(PASSWORD_CHARS_MIN - 1)),
            ("password", text(PASSWORD_CHARS_MAX), text(PASSWORD_CHARS_MAX + 1)),
            ("password", text(PASSWORD_CHARS_MIN), json!(12_345_678)),
            ("username", json!(" \u{a0}A@b\n"), json!("a@b\u{0}")),
            ("username", json!("a@b"), json!("a @b")),
            ("password", json!("12345\u{3000}78"), json!("1234567\u{0}")),
            ("password", json!("\u{1112}\u{1161}\u{11ab}".repeat(8)), json!("1234567\n")),
            ("password", json!("12345678"), json!("\u{1112}\u{1161}\u{11ab}".repeat(7))),
            ("nickname", json!("two\nlines"), json!("a\u{1b}[31m")),
            ("address", json!("a\tb"), json!("a\u{85}b")),
            ("username", json!("a@b"), json!("a")),
            ("username", json!("a@b"), json!(null)),
            ("nickname", text(NICKNAME_CHARS_MAX), text(NICKNAME_CHARS_MAX + 1)),
            ("address", text(ADDRESS_CHARS_MAX), text(ADDRESS_CHARS_MAX + 1)),
            ("address", json!(null), json!(5)),
        ];
        for (field, accepted, refused) in cases {
            assert_eq!(wrong(&body(field, accepted.clone())), [""; 0], "{field} {accepted}");
            assert_eq!(wrong(&body(field, refused.clone())), [field], "{field} {refused}");
        }
    }

    #[test]
    fn a_token_request_is_read_or_refused_in_the_words_of_its_standard() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert("content-type", kind);
            Grant::read(&Form::parse(&headers, text.as_bytes()).expect("a form"))
        };
        let password = Grant::Password { username: "1@uengine.org".into(), password: "1".into() };
        assert_eq!(read("grant_type=password&username=1%40uengine.org&password=1"), Ok(password));
        assert_eq!(
            read("grant_type=refresh_token&refresh_token=x"),
            Ok(Grant::Refresh { token: "x".into() })
        );
        assert_eq!(read("grant_type=client_credentials"), Ok(Grant::Client));
        let typed = Grant::Password { username: "1@x".into(), password: "한 글".into() };
        let decomposed = "%E1%84%92%E1%85%A1%E1%86%AB%C2%A0%E1%84%80%E1%85%B3%E1%86%AF";
        assert_eq!(
            read(&format!("grant_type=password&username=+1%40X%09&password={decomposed}")),
            Ok(typed)
        );
        for nobodys in ["", "a%00", "a%0A", "%E2%80%8B"] {
            let form = format!("grant_type=password&username=1%40x&password={nobodys}");
            assert_eq!(read(&form), Err("invalid_grant"), "{nobodys:?}");
        }
        for nobodys in ["1%40x%00", "x", "%00", "", "1%40x.html"] {
            let form = format!("grant_type=password&username={nobodys}&password=1");
            assert_eq!(read(&form), Err("invalid_grant"), "{nobodys:?}");
        }
        assert_eq!(read("grant_type=password&username=x"), Err("invalid_request"));
        assert_eq!(read("grant_type=refresh_token"), Err("invalid_request"));
        assert_eq!(read(""), Err("invalid_request"));
        assert_eq!(read("grant_type=implicit"), Err("unsupported_grant_type"));
    }
}
