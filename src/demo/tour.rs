//! What to open and what to try.
//!
//! I own: the steps of the tour, in one list, and the text that a terminal shows. I may call: nothing. I never print
//! anything but plain text: it is copied, piped and read aloud.

use super::configuration::SURVIVES_RESTART;
use std::fmt::Write as _;
use std::path::Path;

/// One thing to try.
struct Step {
    /// What to do.
    what: &'static str,
    /// What to see; `{home}`, `{issuer}`, `{password}`, `{program}`, `{admin}` and `{token_file}` are filled in.
    see: &'static [&'static str],
    /// Whether the house can do it yet.
    there: bool,
}

/// The admin listener, with `keycard sessions end`.
const ADMIN_LISTENER: bool = true;

/// The tour. A step whose part is still being built stands in its place and is not shown.
const TOUR: &[Step] = &[
    Step {
        what: "Open {home} and sign in as Anna Berg, a teacher.",
        see: &[
            "The password is {password}, for everybody. The provider asks once whether the app may know you.",
        ],
        there: true,
    },
    Step {
        what: "Look for a token. There is none.",
        see: &[
            "Developer tools, Application (Firefox, Safari: Storage), Cookies: `keycard` is the session, opaque and",
            "HttpOnly. `keycard-login` only binds a sign-in to this browser. Nothing else is stored.",
        ],
        there: true,
    },
    Step {
        what: "Open {home}/legacy/",
        see: &[
            "An app that knows nothing of OpenID Connect. It gets Remote-User, and neither of the two cookies.",
        ],
        there: true,
    },
    Step {
        what: "Call the API as Anna: 200. Sign out, at the provider as well, and come back as Ben Cruz, a student: 403.",
        see: &["The API gets a bearer token from the gateway. The page never sees it."],
        there: true,
    },
    Step {
        what: "Start the event stream and watch it tick, unbuffered, through the gateway.",
        see: &[],
        there: true,
    },
    Step {
        what: "Open {home} in a second tab, and say something in the chat: a WebSocket through the gateway.",
        see: &[
            "Sign out in one tab. The other one knows at once, and its WebSocket is closed with 4401.",
            "Then sign in as Ben again.",
        ],
        there: true,
    },
    Step {
        what: "In a second terminal, end Ben's session. His page notices.",
        see: &["{program} sessions end --user ben \\", "  --url {admin} \\", "  --token-file {token_file}"],
        there: ADMIN_LISTENER,
    },
    Step {
        what: "Sign in once more, open {issuer}/ in another tab and sign out there. The page of the app notices.",
        see: &["The provider has told the gateway (back-channel logout). No browser carried that message."],
        there: true,
    },
    Step {
        what: "Sign in once more, stop the demo with Ctrl-C, start it again, and reload: still signed in.",
        see: &["Sessions and their key are kept in a folder of the demo's own, for each port."],
        there: SURVIVES_RESTART,
    },
    Step { what: "Stop with Ctrl-C.", see: &[], there: true },
];

/// What the text tells about this run.
pub(super) struct Run<'r> {
    pub(super) home: &'r str,
    pub(super) issuer: &'r str,
    pub(super) password: &'r str,
    /// What a shell finds this program by: `cargo run` leaves it in no folder of its path.
    pub(super) program: &'r Path,
    /// Where the gateway's operators are served.
    pub(super) admin: &'r str,
    /// What they show there.
    pub(super) token_file: &'r Path,
    /// The port that was asked for, if another one had to do.
    pub(super) taken: Option<u16>,
    pub(super) config: Option<&'r str>,
}

/// The whole text.
pub(super) fn text(run: &Run<'_>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, run);
    text
}

fn write(text: &mut String, run: &Run<'_>) -> std::fmt::Result {
    let (program, token_file) = (for_a_shell(run.program), for_a_shell(run.token_file));
    let filled = |line: &str| {
        [
            ("{home}", run.home),
            ("{issuer}", run.issuer),
            ("{password}", run.password),
            ("{program}", &program),
            ("{admin}", run.admin),
            ("{token_file}", &token_file),
        ]
        .iter()
        .fold(line.to_owned(), |line, (name, value)| line.replace(name, value))
    };
    writeln!(text, "Keycard demo: an identity provider, three apps and the gateway, in one process.\n")?;
    if let Some(port) = run.taken {
        writeln!(text, "  Port {port} is taken; this is another one.\n")?;
    }
    writeln!(text, "  Open      {}/", run.home)?;
    writeln!(text, "  Password  {}\n", run.password)?;
    writeln!(text, "What to try:\n")?;
    for (number, step) in TOUR.iter().filter(|step| step.there).enumerate() {
        writeln!(text, "  {}. {}", number + 1, filled(step.what))?;
        for line in step.see {
            writeln!(text, "     {}", filled(line))?;
        }
    }
    writeln!(
        text,
        "\nThe identity provider is at {}/ (another host to the browser, so other cookies).",
        run.issuer
    )?;
    if let Some(config) = run.config {
        writeln!(text, "The gateway runs on {config}")?;
    }
    if !SURVIVES_RESTART {
        writeln!(text, "Sessions live in memory: when the demo stops, everybody is signed out.")?;
    }
    Ok(())
}

/// A path as one word of a command line, quoted where it has to be.
fn for_a_shell(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_');
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tour_is_numbered_plain_text_of_bearable_width() {
        let run = Run {
            home: "http://localhost:8081",
            issuer: "http://127.0.0.1:8082",
            password: "abcd-efgh",
            admin: "http://127.0.0.1:65535",
            program: Path::new("/home/somebody/it's here/keycard"),
            token_file: Path::new("/home/somebody/.local/share/keycard-demo/8081/admin-token"),
            taken: Some(8080),
            config: Some("/home/somebody/.local/share/keycard-demo/8081/keycard.toml"),
        };
        let text = text(&run);
        assert!(text.contains("Port 8080 is taken"));
        let command = r"
     '/home/somebody/it'\''s here/keycard' sessions end --user ben \
       --url http://127.0.0.1:65535 \
       --token-file /home/somebody/.local/share/keycard-demo/8081/admin-token
";
        assert!(text.contains(command), "{text}");
        assert!(text.contains("  1. Open http://localhost:8081 and sign in as Anna Berg"));
        assert!(!text.contains(['{', '}', '\u{1b}']), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    }
}
