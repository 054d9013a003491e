//! A URL: it is refused without being repeated, or it names a node, and that name names the same node.

use quorlock::seam::fuzz::url;

/// Stands where a password stands, in every URL of the corpus that has one.
const SECRET: &str = "S3CRET";

pub(super) fn check(text: &str) -> Result<(), String> {
    let name = match url(text) {
        Ok(name) => name,
        Err(error) => return no_secret(&format!("{error} {error:?}")),
    };
    if name.is_empty() {
        return Err("a node without a name".to_owned());
    }
    if !open_part(text).contains(SECRET) {
        no_secret(&name)?;
    }
    // The name of a socket is its path, of a server its address: only the latter is a URL with a scheme before it.
    if text.starts_with("redis://") || text.starts_with("valkey://") {
        let again = url(&format!("redis://{name}"));
        if again.as_ref() != Ok(&name) {
            return Err(format!("named {name:?}, which is read as {again:?}"));
        }
    }
    Ok(())
}

fn no_secret(said: &str) -> Result<(), String> {
    if said.contains(SECRET) {
        return Err(format!("the password is repeated: {said}"));
    }
    Ok(())
}

/// What of a URL may be repeated: for a server what is behind the credentials, for a socket its path; without the query,
/// where sockets have theirs. A reader of URLs drops line ends wherever they are, and looks at no capitals of a scheme.
fn open_part(text: &str) -> String {
    let text = text.replace(['\r', '\n', '\t'], "");
    let (scheme, rest) = text.split_once(':').unwrap_or(("", &text));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    match rest.rsplit_once('@') {
        Some((_, host)) if !scheme.to_ascii_lowercase().contains("unix") => host.to_owned(),
        _ => rest.to_owned(),
    }
}
