//! Who is let in: only the browser that opened the printed address, and only from the console's own pages.
//!
//! The page is on this machine, but every program on it and every page in the browser can send requests to 127.0.0.1:
//!
//! - A request without the session's cookie is refused. The cookie is given once, for the token in the printed address, and a
//!   page of another site cannot make the browser send it (`SameSite=Strict`).
//! - A request for another `Host` is refused: a name of an attacker's that points to 127.0.0.1 (DNS rebinding) is another host.
//! - A request with another `Origin`, and a `POST` without one, is refused: it comes from a page that is not the console's. So is
//!   one of which the browser says that another page has caused it (`Sec-Fetch-Site`), such as a picture in a page of a server on
//!   another port, for which cookies are the same.

use std::sync::atomic::{AtomicBool, Ordering};

use subtle::ConstantTimeEq;

use crate::error::Error;

/// 128 random bits, in hexadecimal.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    pub fn random() -> Result<Self, Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)
            .map_err(|error| Error::Failed(format!("The system has no random bits: {error}")))?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is(&self, other: &str) -> bool {
        self.0.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

/// What of a request decides whether it is let in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    pub is_post: bool,
    pub host: Option<&'a str>,
    pub origin: Option<&'a str>,
    /// Who caused it, as the browser says: `same-origin`, `same-site`, `cross-site`, or `none` for the person.
    pub fetch_site: Option<&'a str>,
    /// The header `Cookie`.
    pub cookies: Option<&'a str>,
    /// The query parameter `token`.
    pub token: Option<&'a str>,
}

/// A request that is let in.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry {
    /// It has the cookie.
    Session,
    /// It has the unused token. It gets this cookie, and is sent to the address without the token.
    First { set_cookie: String },
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    OtherHost,
    OtherOrigin,
    WrongToken,
    UsedToken,
    NoCookie,
}

impl Refusal {
    /// The status of the answer.
    pub fn status(self) -> u16 {
        match self {
            Self::OtherHost => 421,
            Self::OtherOrigin | Self::WrongToken | Self::UsedToken | Self::NoCookie => 403,
        }
    }

    /// What the person at the browser can do.
    pub fn says(self) -> &'static str {
        match self {
            Self::OtherHost => "This page has one address: the one that thaw console has printed. Use that one.",
            Self::OtherOrigin => "Another page sent this request, so nothing was done. Use the console's own buttons.",
            Self::WrongToken => {
                "The token in this address is wrong. Copy the whole address that thaw console has printed."
            }
            Self::UsedToken => {
                "This address was used already, and works once. If it was not you, end thaw console with Ctrl-C. Start it again for a new address."
            }
            Self::NoCookie => {
                "This browser has not opened the address that thaw console has printed. Open that one, or start thaw console again for a new one."
            }
        }
    }
}

/// The door of one console.
pub struct Gate {
    /// `127.0.0.1:4711`.
    host: String,
    /// Cookies are shared by all ports of a host, so the name has the port.
    cookie: String,
    token: Secret,
    session: Secret,
    is_used: AtomicBool,
}

impl Gate {
    pub fn new(port: u16) -> Result<Self, Error> {
        Ok(Self {
            host: format!("127.0.0.1:{port}"),
            cookie: format!("thaw-{port}"),
            token: Secret::random()?,
            session: Secret::random()?,
            is_used: AtomicBool::new(false),
        })
    }

    /// The address to print: it works once.
    pub fn url(&self) -> String {
        format!("http://{}/?token={}", self.host, self.token.as_str())
    }

    /// Whether the request comes to the console's own address and from no other page. All that a style sheet needs.
    pub fn at_the_right_address(&self, asked: &Asked<'_>) -> Result<(), Refusal> {
        if asked.host != Some(self.host.as_str()) {
            return Err(Refusal::OtherHost);
        }
        match asked.origin {
            Some(origin) if origin.strip_prefix("http://") == Some(self.host.as_str()) => Ok(()),
            None if !asked.is_post => Ok(()),
            Some(_) | None => Err(Refusal::OtherOrigin),
        }
    }

    /// Whether the request is let in. Uses up the token.
    pub fn let_in(&self, asked: &Asked<'_>) -> Result<Entry, Refusal> {
        self.at_the_right_address(asked)?;
        if self.has_cookie(asked.cookies.unwrap_or_default()) {
            return match asked.fetch_site {
                None | Some("same-origin" | "none") => Ok(Entry::Session),
                Some(_) => Err(Refusal::OtherOrigin),
            };
        }
        match asked.token {
            None => Err(Refusal::NoCookie),
            Some(token) if !self.token.is(token) => Err(Refusal::WrongToken),
            Some(_) if self.is_used.swap(true, Ordering::SeqCst) => Err(Refusal::UsedToken),
            Some(_) => Ok(Entry::First {
                set_cookie: format!("{}={}; HttpOnly; SameSite=Strict; Path=/", self.cookie, self.session.as_str()),
            }),
        }
    }

    fn has_cookie(&self, cookies: &str) -> bool {
        let named = cookies.split(';').filter_map(|cookie| cookie.trim().split_once('='));
        named.into_iter().any(|(name, value)| name == self.cookie && self.session.is(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Asked<'_> = Asked {
        is_post: false,
        host: Some("127.0.0.1:4711"),
        origin: None,
        fetch_site: None,
        cookies: None,
        token: None,
    };

    fn gate() -> Gate {
        Gate::new(4711).unwrap()
    }

    /// The cookie that a browser sends after it has opened the printed address.
    fn opened(gate: &Gate) -> String {
        let url = gate.url();
        let token = url.split_once("?token=").unwrap().1;
        let Ok(Entry::First { set_cookie }) = gate.let_in(&Asked { token: Some(token), ..HERE }) else {
            panic!("the printed address is refused")
        };
        assert!(set_cookie.ends_with("; HttpOnly; SameSite=Strict; Path=/"), "{set_cookie}");
        set_cookie.split(';').next().unwrap().to_owned()
    }

    #[test]
    fn the_printed_address_works_once_and_its_cookie_from_then_on() {
        let gate = gate();
        let cookie = opened(&gate);
        let url = gate.url();
        let token = url.split_once("?token=").unwrap().1;
        assert_eq!(gate.let_in(&Asked { token: Some(token), ..HERE }), Err(Refusal::UsedToken));
        let others = format!("other=1; {cookie}; thaw-4712=2");
        for cookies in [cookie.as_str(), &others] {
            assert_eq!(gate.let_in(&Asked { cookies: Some(cookies), ..HERE }), Ok(Entry::Session));
        }
    }

    #[test]
    fn a_wrong_token_or_cookie_is_refused_and_uses_nothing_up() {
        let gate = gate();
        assert_eq!(gate.let_in(&HERE), Err(Refusal::NoCookie));
        for token in ["", "0", &"0".repeat(32)] {
            assert_eq!(gate.let_in(&Asked { token: Some(token), ..HERE }), Err(Refusal::WrongToken), "{token}");
        }
        let session = opened(&gate).split_once('=').unwrap().1.to_owned();
        for cookies in ["", "thaw-4711=", "thaw-4711=0", &format!("thaw-4712={session}")] {
            assert_eq!(gate.let_in(&Asked { cookies: Some(cookies), ..HERE }), Err(Refusal::NoCookie), "{cookies}");
        }
    }

    #[test]
    fn another_host_is_refused_even_with_the_cookie() {
        let gate = gate();
        let cookie = opened(&gate);
        for host in [None, Some("localhost:4711"), Some("127.0.0.1"), Some("127.0.0.1:4712"), Some("evil.example:4711")]
        {
            let asked = Asked { host, cookies: Some(&cookie), ..HERE };
            assert_eq!(gate.let_in(&asked), Err(Refusal::OtherHost), "{host:?}");
            assert_eq!(gate.at_the_right_address(&asked), Err(Refusal::OtherHost), "{host:?}");
        }
    }

    #[test]
    fn another_origin_is_refused_even_with_the_cookie() {
        let gate = gate();
        let cookie = opened(&gate);
        let asked = |is_post, origin| Asked { is_post, origin, cookies: Some(&cookie), ..HERE };
        for origin in [
            Some("null"),
            Some("https://127.0.0.1:4711"),
            Some("http://127.0.0.1:4712"),
            Some("http://localhost:4711"),
            Some("http://evil.example"),
        ] {
            for is_post in [false, true] {
                assert_eq!(gate.let_in(&asked(is_post, origin)), Err(Refusal::OtherOrigin), "{origin:?}");
            }
        }
        assert_eq!(gate.let_in(&asked(true, None)), Err(Refusal::OtherOrigin));
        for (is_post, origin) in
            [(true, Some("http://127.0.0.1:4711")), (false, Some("http://127.0.0.1:4711")), (false, None)]
        {
            assert_eq!(gate.let_in(&asked(is_post, origin)), Ok(Entry::Session), "{is_post} {origin:?}");
        }
    }

    #[test]
    fn what_another_page_causes_is_refused_even_with_the_cookie() {
        let gate = gate();
        let cookie = opened(&gate);
        for (fetch_site, entry) in [
            (Some("none"), Ok(Entry::Session)),
            (Some("same-origin"), Ok(Entry::Session)),
            (Some("same-site"), Err(Refusal::OtherOrigin)),
            (Some("cross-site"), Err(Refusal::OtherOrigin)),
        ] {
            assert_eq!(gate.let_in(&Asked { fetch_site, cookies: Some(&cookie), ..HERE }), entry, "{fetch_site:?}");
        }
    }
}
