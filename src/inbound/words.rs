//! What pages say, in every language.
//!
//! I own: how a text is written down, and the words on buttons and links; title, cause and advice of every page stand below
//! me, by occasion. I may call: `language`. I never hold a placeholder: what differs from request to request stands beside
//! these texts, not in them.
//!
//! A text is written in all languages in one place. One that is missing somewhere does not compile.

use super::language::Language;

/// A text in every language.
pub struct InEvery<T> {
    english: T,
    german: T,
}

impl<T> InEvery<T> {
    /// The text in this language.
    pub const fn spoken(&self, language: Language) -> &T {
        match language {
            Language::English => &self.english,
            Language::German => &self.german,
        }
    }
}

/// What one page says.
pub struct Words {
    /// The heading, and the `title` of a problem.
    pub title: &'static str,
    /// What happened, in plain words.
    pub text: &'static str,
    /// What to do; empty when the text says it, or the way on does.
    pub advice: &'static str,
}

impl Words {
    /// The `detail` of a problem.
    pub fn detail(&self) -> String {
        format!("{} {}", self.text, self.advice).trim().to_owned()
    }
}

/// A page's words in every language.
pub type Wording = InEvery<Words>;

/// A label in every language.
pub type Label = InEvery<&'static str>;

macro_rules! pages {
    ($($(#[$about:meta])* $name:ident
        en $en_title:literal, $en_text:literal, $en_advice:expr;
        de $de_title:literal, $de_text:literal, $de_advice:expr;)*) => {
        $($(#[$about])* pub const $name: &Wording = &InEvery {
            english: Words { title: $en_title, text: $en_text, advice: $en_advice },
            german: Words { title: $de_title, text: $de_text, advice: $de_advice },
        };)*
        #[cfg(test)]
        pub(super) const PAGES: &[(&str, &Wording)] = &[$((stringify!($name), $name)),*];
    };
}

macro_rules! labels {
    ($($(#[$about:meta])* $name:ident en $en:literal; de $de:literal;)*) => {
        $($(#[$about])* pub const $name: &Label = &InEvery { english: $en, german: $de };)*
        #[cfg(test)]
        const LABELS: &[(&str, &Label)] = &[$((stringify!($name), $name)),*];
    };
}

const LATER: &str = "Please try again in a moment. If it goes on, tell the people who run this service.";
const SPAETER: &str =
    "Bitte versuche es gleich noch einmal. Wenn es so bleibt, sag den Betreibern dieses Dienstes Bescheid.";

// Below the macro that they are written with.
mod failing;
mod own;
mod refused;
mod sign_in;

pub use failing::*;
pub use own::*;
pub use refused::*;
pub use sign_in::*;

labels! {
    /// Leads to `/`.
    FRONT_PAGE en "Go to the front page"; de "Zur Startseite";
    /// The same address once more.
    RETRY en "Try again"; de "Noch einmal versuchen";
    /// Leads on, where the browser does not go by itself.
    GO_ON en "Go on"; de "Weiter";
    /// Begins a sign-in, where a form could not be kept.
    SIGN_IN_WITHOUT_FORM en "Sign in without the form"; de "Ohne das Formular anmelden";
    /// Sends a form that waited.
    SEND_FORM en "Send it now"; de "Jetzt abschicken";
    /// Lets a form that waited be.
    DO_NOT_SEND en "Do not send it"; de "Nicht abschicken";
    /// Stands before where a form goes.
    FORM_GOES_TO en "It goes to"; de "Es geht an";
    /// Stands before the names of the fields of a form.
    FORM_FIELDS en "Its fields:"; de "Seine Felder:";
    /// Begins a sign-in.
    SIGN_IN_AGAIN en "Sign in again"; de "Neu anmelden";
    /// Ends the session.
    SIGN_OUT en "Sign out"; de "Abmelden";
    /// Leaves the session as it is.
    STAY en "Stay signed in"; de "Angemeldet bleiben";
    /// Ends the session, so that somebody else can sign in.
    OTHER_ACCOUNT en "Sign out and use another account"; de "Abmelden und ein anderes Konto nehmen";
    /// Leads to the list of one's sessions.
    WHERE_SIGNED_IN en "Where you are signed in"; de "Wo du angemeldet bist";
    /// Marks the session that looks at the list.
    THIS_BROWSER en "This browser"; de "Dieser Browser";
    /// A browser that says nothing of itself.
    UNKNOWN_BROWSER en "A browser without a name"; de "Ein Browser ohne Namen";
    /// Stands before the time of a sign-in.
    SIGNED_IN_AT en "Signed in"; de "Angemeldet";
    /// Stands before the time of the last use.
    LAST_USED en "Last used"; de "Zuletzt benutzt";
    /// Stands before an address.
    FROM_ADDRESS en "From"; de "Von";
    /// Stands before the name of a provider.
    SIGNED_IN_BY en "By"; de "Über";
    /// Where a list is cut off.
    MORE_SESSIONS en "There are more than are shown here."; de "Es gibt mehr, als hier gezeigt werden.";
    /// Stands before a name.
    SIGNED_IN_AS en "You are signed in as"; de "Du bist angemeldet als";
    /// Stands before the correlation id.
    HELP en "If you ask for help, give this number:"; de "Wenn du um Hilfe bittest, nenne diese Nummer:";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_there_in_every_language_and_says_the_same_things() {
        let is_text = |text: &str| !text.is_empty() && text.trim() == text && !text.contains("  ");
        for (name, wording) in [own::PAGES, refused::PAGES, sign_in::PAGES, failing::PAGES].concat() {
            let english = wording.spoken(Language::English);
            for language in Language::ALL {
                let words = wording.spoken(language);
                assert!(is_text(words.title) && words.title.len() < 80, "{name} {language:?}");
                assert!(!words.title.ends_with('.'), "{name} {language:?}");
                for (own, original) in [(words.text, english.text), (words.advice, english.advice)] {
                    assert_eq!(own.is_empty(), original.is_empty(), "{name} {language:?}");
                    assert!(
                        own.is_empty() || is_text(own) && own.ends_with(['.', '?']),
                        "{name} {language:?}"
                    );
                    // Names of headers and keys are not translated.
                    let quoted = |text: &str| {
                        text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
                    };
                    assert_eq!(quoted(own), quoted(original), "{name} {language:?}");
                }
                assert!(language == Language::English || words.title != english.title, "{name} {language:?}");
            }
        }
        for (name, label) in LABELS {
            assert!(Language::ALL.into_iter().all(|language| is_text(label.spoken(language))), "{name}");
            assert_ne!(label.spoken(Language::English), label.spoken(Language::German), "{name}");
        }
    }
}
