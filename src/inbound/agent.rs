//! What browser somebody uses, in two words.
//!
//! I own: [`name`]. I may call: nothing. I never decide anything by it: what a browser says of itself is hearsay, and good
//! enough for a person to know their own again.

/// In the order in which they have to be looked for: each of them names those after it as well.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
];

/// The same for systems.
const SYSTEMS: &[(&str, &str)] = &[
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
];

/// What is shown of one that nobody knows.
const LONGEST: usize = 60;

/// "Firefox · Linux"; the beginning of what it says of itself where it is none of those that everybody has; empty where it
/// says nothing.
pub fn name(user_agent: &str) -> String {
    let known = |table: &[(&str, &'static str)]| {
        table.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    match (known(BROWSERS), known(SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} · {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, _) => user_agent.chars().filter(|c| !c.is_control()).take(LONGEST).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_that_name_each_other_are_told_apart() {
        let webkit = "(KHTML, like Gecko)";
        for (user_agent, expected) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".to_owned(),
                "Firefox · Linux",
            ),
            (
                format!(
                    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 {webkit} Chrome/140.0 Safari/537.36"
                ),
                "Chrome · Linux",
            ),
            (
                format!(
                    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 {webkit} Chrome/140.0 Safari/537.36 Edg/140.0"
                ),
                "Edge · Windows",
            ),
            (
                format!(
                    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 {webkit} Version/18.0 Safari/605.1.15"
                ),
                "Safari · macOS",
            ),
            (
                format!(
                    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 {webkit} CriOS/140.0 Mobile Safari/604.1"
                ),
                "Chrome · iPhone",
            ),
            (
                format!(
                    "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 {webkit} Chrome/140.0 Mobile Safari/537.36"
                ),
                "Chrome · Android",
            ),
            ("curl/8.5.0".to_owned(), "curl"),
            ("Strange\u{1b}[2J/1".to_owned(), "Strange[2J/1"),
            (String::new(), ""),
        ] {
            assert_eq!(name(&user_agent), expected);
        }
        assert_eq!(name(&"x".repeat(500)).len(), LONGEST);
    }
}
