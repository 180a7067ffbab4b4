//! Headers that no client may send to a service: names by which services are told who asks, or by
//! which they can be led to another path or method than the one that was judged.
//!
//! Every proxy that signs people in has a header of its own for whom it signed in, and a service
//! that was built for one of them believes it from whoever sends it. All that are known to us are
//! here; a setting adds others and takes none away.
//!
//! A name of more than letters, digits and `-` passes under no name at all: servers that hand headers
//! on as variables (CGI, WSGI, PHP, nginx) read `X_User`, some of them `X.User` too, and `X-User` as one.

use http::HeaderName;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};

/// How many names the settings may add.
pub const IDENTITY_HEADERS_MAX: usize = 64;

/// The names; one that ends in `*` stands for all that begin so. Listed in `docs/headers.md`.
pub const WITHHELD: &[&str] = &[
    "cf-access-*",
    "cf-connecting-ip*",
    "client-cert*",
    "client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "forwarded",
    "impersonate-*",
    "iv-*",
    "oidc-claim-*",
    "path-info",
    "proxy",
    "proxy-client-ip",
    "remote-*",
    "request-uri",
    "script-name",
    "shib-*",
    "sm-universalid",
    "sm-user*",
    "ssl-client-*",
    "tailscale-user-*",
    "true-client-ip",
    "wl-proxy-*",
    "x-accel-*",
    "x-admin*",
    "x-amzn-mtls-*",
    "x-amzn-oidc-*",
    "x-anonymous-consumer",
    "x-apigateway-api-userinfo",
    "x-appengine-*",
    "x-arr-clientcert*",
    "x-auth-email*",
    "x-auth-group*",
    "x-auth-id*",
    "x-auth-name*",
    "x-auth-principal*",
    "x-auth-request-*",
    "x-auth-role*",
    "x-auth-subject*",
    "x-auth-user*",
    "x-authelia-*",
    "x-authenticated*",
    "x-authentik-*",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-client-cert*",
    "x-client-ip",
    "x-client-user*",
    "x-cluster-client-ip",
    "x-consumer-*",
    "x-credential-*",
    "x-current-user*",
    "x-email*",
    "x-endpoint-api-userinfo",
    "x-envoy-*",
    "x-forwarded",
    "x-forwarded-*",
    "x-goog-authenticated-user-*",
    "x-goog-iap-*",
    "x-group*",
    "x-host",
    "x-http-host-override",
    "x-http-method",
    "x-http-method-override",
    "x-identity*",
    "x-impersonate-*",
    "x-is-admin",
    "x-jwt-*",
    "x-logged-in-user*",
    "x-login*",
    "x-method-override",
    "x-ms-client-principal*",
    "x-oidc-*",
    "x-original-*",
    "x-override-url",
    "x-permission*",
    "x-pomerium-*",
    "x-principal*",
    "x-proxy-user*",
    "x-real-ip",
    "x-remote-*",
    "x-rewrite-*",
    "x-role*",
    "x-script-name",
    "x-sendfile-type",
    "x-shib-*",
    "x-ssl-cert*",
    "x-ssl-client-*",
    "x-subject*",
    "x-user*",
    "x-vouch-*",
    "x-waws-unencoded-url",
    "x-webauth-*",
    "x-yeoul-*",
    "yeoul-principal*",
    "yeoul-role*",
    "yeoul-user*",
];

/// The table and what the settings add, by the letter that a name begins with.
#[derive(Debug)]
pub(crate) struct Withheld {
    by_first: Vec<Vec<Rule>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    text: Box<str>,
    /// Whether names that only begin so are meant too.
    prefix: bool,
}

impl Withheld {
    /// The table and `more`.
    ///
    /// # Errors
    /// What is no name of a header, or one without which no request arrives.
    pub(crate) fn new(more: &[String]) -> Result<Withheld, Vec<String>> {
        let mut withheld = Withheld { by_first: vec![Vec::new(); 256] };
        let mut mistakes = Vec::new();
        if more.len() > IDENTITY_HEADERS_MAX {
            let count = more.len();
            mistakes.push(format!("at most {IDENTITY_HEADERS_MAX} headers. headers=`{count}`"));
        }
        for text in WITHHELD.iter().copied().chain(more.iter().map(String::as_str)) {
            match Rule::parse(text) {
                Ok(rule) => withheld.by_first[usize::from(rule.text.as_bytes()[0])].push(rule),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        if mistakes.is_empty() { Ok(withheld) } else { Err(mistakes) }
    }

    /// Whether a header stays here.
    pub(crate) fn has(&self, name: &str) -> bool {
        let name = name.as_bytes();
        let rules = name.first().map(|first| &self.by_first[usize::from(*first)]);
        rules.is_some_and(|rules| rules.iter().any(|rule| rule.means(name)))
            || !name.iter().all(|byte| PLAIN[usize::from(*byte)])
    }
}

/// The bytes of a name that no server reads as another one; looked up, since each byte of each name is.
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < table.len() {
        table[at] = (at as u8).is_ascii_alphanumeric() || at as u8 == b'-';
        at += 1;
    }
    table
};

impl Default for Withheld {
    fn default() -> Withheld {
        Withheld::new(&[]).expect("the table holds names")
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Rule, String> {
        let (name, prefix) = match text.strip_suffix('*') {
            Some(name) => (name, true),
            None => (text, false),
        };
        let refuse = |why: &str| Err(format!("{why}. header=`{text}`"));
        let parsed = name.parse::<HeaderName>().ok().filter(|_| !name.contains('*'));
        let Some(name) = parsed else {
            return refuse(
                "a header is a name such as `x-tenant`, or `x-tenant-*` for all of them",
            );
        };
        let rule = Rule { text: name.as_str().into(), prefix };
        let needed = [HOST, CONTENT_LENGTH, TRANSFER_ENCODING];
        if needed.iter().any(|name| rule.means(name.as_str().as_bytes())) {
            return refuse("no request arrives without it");
        }
        Ok(rule)
    }

    fn means(&self, name: &[u8]) -> bool {
        let text = self.text.as_bytes();
        if self.prefix { name.starts_with(text) } else { name == text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_is_nobodys_to_say() {
        let withheld = Withheld::default();
        let stay = [
            "x-user",
            "x-user-id",
            "x_user",
            "x_role",
            "yeoul_principal",
            "yeoul-principal",
            "x-auth-user",
            "proxy",
            "x-original-url",
            "x-original-uri",
            "x-rewrite-url",
            "x-forwarded-user",
            "remote-user",
            "x-remote-user",
            "remote_user",
            "content_length",
            "x_forwarded_for",
            "transfer_encoding",
            "x-role",
            "x-roles",
            "x-http-method-override",
            "x-ms-client-principal-id",
            "x-goog-iap-jwt-assertion",
            "x-consumer-username",
            "_",
            "sm-user",
            "iv-user",
            "iv-groups",
            "client-cert-chain",
            "wl-proxy-client-cert",
            "impersonate-user",
            "shib-identity-provider",
            "x-email",
            "x-subject",
            "x-identity",
            "x-is-admin",
            "x-permissions",
            "x-override-url",
            "x-host",
            "x-http-host-override",
            "script-name",
            "path-info",
            "x-accel-mapping",
            "x-sendfile-type",
            "x-forwarded",
            "x.user",
            "x~role",
            "x'user",
            "x+tenant",
        ];
        for name in stay {
            assert!(withheld.has(name), "{name}");
        }
        let pass = [
            "authorization",
            "accept",
            "x-request-id",
            "x-requested-with",
            "x-auth-token",
            "x-csrf-token",
            "yeoul-position",
            "yeoul-condition",
            "idempotency-key",
            "proxy-status",
            "x-api-key",
            "user-agent",
            "x-us",
            "cf-ray",
            "x-other",
            "x-hostname",
            "client-version",
            "x-forward",
        ];
        for name in pass {
            assert!(!withheld.has(name), "{name}");
        }
    }

    #[test]
    fn settings_add_names_and_take_none_away() {
        let more = ["X-Tenant".to_owned(), "x-shop-*".to_owned()];
        let withheld = Withheld::new(&more).expect("names");
        for name in ["x-tenant", "x-shop-id", "x-user", "proxy"] {
            assert!(withheld.has(name), "{name}");
        }
        assert!(!withheld.has("x-tenant-id") && !withheld.has("x-shop"));
        for bad in ["", "*", "x y", "host", "h*", "content-length", "content-*", "x-*-id", "é"] {
            assert!(Withheld::new(&[bad.to_owned()]).is_err(), "{bad}");
        }
        let many = |count| vec!["x-a".to_owned(); count];
        assert!(Withheld::new(&many(IDENTITY_HEADERS_MAX)).is_ok());
        assert!(Withheld::new(&many(IDENTITY_HEADERS_MAX + 1)).is_err());
    }

    #[test]
    fn every_name_is_documented() {
        let page = include_str!("../../../../docs/headers.md");
        for name in WITHHELD {
            assert!(page.contains(&format!("`{name}`")), "{name} is not in docs/headers.md");
        }
    }
}
