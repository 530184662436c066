//! The bearer token of a request: in one header, and nowhere else (RFC 6750).

use http::header::AUTHORIZATION;
use http::request::Parts;

use super::token;
use super::unauthorized::Unauthorized;

/// The parameter that RFC 6750 has for tokens in queries, which we refuse: queries end up in logs.
const PARAMETER: &str = "access_token";

/// What was shown, as it was written.
pub(super) fn bearer(head: &Parts) -> Result<&[u8], Unauthorized> {
    if head.uri.query().is_some_and(has_token) {
        return Err(Unauthorized::InQuery);
    }
    let mut lines = head.headers.get_all(AUTHORIZATION).iter();
    let line = lines.next().ok_or(Unauthorized::Missing)?.as_bytes();
    if lines.next().is_some() {
        return Err(Unauthorized::Twice);
    }
    let (scheme, rest) = line.split_at_checked(b"Bearer".len()).ok_or(Unauthorized::Scheme)?;
    let shown = rest.trim_ascii_start();
    match scheme.eq_ignore_ascii_case(b"Bearer") && shown.len() < rest.len() {
        true => Ok(shown),
        false => Err(Unauthorized::Scheme),
    }
}

fn has_token(query: &str) -> bool {
    let named = |pair: &str| pair.split('=').next().is_some_and(|name| name.eq_ignore_ascii_case(PARAMETER));
    query.split('&').any(named) || token::is_in(query)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::bearer;

    #[track_caller]
    fn check(path: &str, lines: &[&str], expected: Result<&str, &str>) {
        let mut request = Request::get(path);
        for line in lines {
            request = request.header("authorization", *line);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let found = bearer(&head).map(|shown| std::str::from_utf8(shown).unwrap()).map_err(|why| why.to_string());
        assert_eq!(found, expected.map_err(str::to_owned), "{path} {lines:?}");
    }

    #[test]
    fn one_header_of_one_scheme() {
        const SCHEME: Result<&str, &str> = Err("an `Authorization` header of another scheme than `Bearer`");
        const QUERY: Result<&str, &str> = Err("a token in the query");
        check("/mcp/s", &["Bearer abc"], Ok("abc"));
        check("/mcp/s", &["bearer   abc"], Ok("abc"));
        check("/mcp/s?id=7", &["BEARER abc"], Ok("abc"));
        check("/mcp/s", &[], Err("no `Authorization` header"));
        for other in ["", "Bearer", "Bearerabc", "Basic YTpi", "Bear", "DPoP abc", "abc"] {
            check("/mcp/s", &[other], SCHEME);
        }
        check("/mcp/s", &["Bearer "], Ok("")); // and nothing is no token
        check("/mcp/s", &["Bearer a", "Bearer a"], Err("more than one `Authorization` header"));
        check("/mcp/s", &["Basic a", "Bearer a"], Err("more than one `Authorization` header"));
        check("/mcp/s", &["Bearer a, Bearer b"], Ok("a, Bearer b")); // and no token looks so
        for query in
            ["access_token=x", "a=1&Access_Token=x", "access_token", "x=tg_0123456789012345678901234567890123456789012"]
        {
            check(&format!("/mcp/s?{query}"), &["Bearer a"], QUERY);
            check(&format!("/mcp/s?{query}"), &[], QUERY);
        }
    }
}
