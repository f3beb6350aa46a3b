//! The pages that people see.
//!
//! I own: the built-in templates, those of the operator that take their place, the look, and the headers that come with
//! a page. I may call: `words`, `language`, `colour`, `keyring` (for the hash of the style). I never let a page run a
//! script but the one in `extra`, and never show what is not escaped.

pub mod extra;

use super::colour::Colour;
use super::harden::harden;
use super::language::Language;
use super::words::{self, Label, Wording};
use crate::keyring::sha256;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use extra::{Extra, Form, Row, Step};
use minijinja::{Environment, Value, context};

/// The template of every page that has none of its own.
const SHEET: &str = "page.html";
const STYLE: &str = "style.css";
const BUILT_IN_SHEET: &str = include_str!("pages/page.html");
const BUILT_IN_STYLE: &str = include_str!("pages/style.css");

/// The card of `style.css`, light and dark: what the accent must be readable on. A test holds them together.
const CARDS: [Colour; 2] = [Colour([0xff, 0xff, 0xff]), Colour([0x1d, 0x21, 0x27])];

/// What an operator may change about the pages.
#[derive(Default)]
pub struct Branding {
    /// The name of the house, above every page.
    pub name: Option<String>,
    /// The path of an image of our own origin.
    pub logo: Option<String>,
    /// The colour of buttons and links.
    pub accent: Option<[u8; 3]>,
    /// A line below every page.
    pub footer: Option<String>,
    /// The origins that may frame every page; empty for nobody.
    pub parents: Vec<String>,
    /// Templates and the style by their names, in place of the built-in ones.
    pub templates: Vec<(String, String)>,
}

/// What kind of page it is: a template `<kind>.html` of the operator's takes the place of `page.html` for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something is wrong with a request or a sign-in.
    Error,
    /// Something behind the door does not answer; later it may.
    Unavailable,
    /// The person may not go there.
    Forbidden,
    /// A sign-in that would go round and round was stopped.
    Loop,
    /// The question before a sign-out.
    SignOut,
    /// After a sign-out.
    SignedOut,
    /// On the way to an app.
    Landing,
    /// Something is kept while somebody signs in.
    Keep,
    /// The question before a kept form is sent.
    Replay,
    /// Where one is signed in.
    Sessions,
}

impl Kind {
    /// All of them.
    const ALL: [Self; 10] = [
        Self::Error,
        Self::Unavailable,
        Self::Forbidden,
        Self::Loop,
        Self::SignOut,
        Self::SignedOut,
        Self::Landing,
        Self::Keep,
        Self::Replay,
        Self::Sessions,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Unavailable => "unavailable",
            Self::Forbidden => "forbidden",
            Self::Loop => "loop",
            Self::SignOut => "sign-out",
            Self::SignedOut => "signed-out",
            Self::Landing => "landing",
            Self::Keep => "keep",
            Self::Replay => "replay",
            Self::Sessions => "sessions",
        }
    }

    fn template(self) -> String {
        format!("{}.html", self.name())
    }
}

/// What a page says.
pub struct Page<'p> {
    /// What kind it is.
    pub kind: Kind,
    /// Title, cause and advice.
    pub wording: &'static Wording,
    /// The action of the page's one button, a POST, if there is one.
    pub button: Option<Link<'p>>,
    /// A way on, if there is one.
    pub link: Option<Link<'p>>,
    /// Who is signed in, where that matters.
    pub account: Option<&'p str>,
    /// The correlation id, on errors.
    pub correlation_id: Option<&'p str>,
}

/// A labelled target of our own origin.
pub struct Link<'p> {
    /// Where it leads.
    pub href: &'p str,
    /// What it says.
    pub label: &'static Label,
}

impl Page<'_> {
    fn to_context(&self, language: Language) -> Value {
        let words = self.wording.spoken(language);
        let link = |link: &Option<Link<'_>>| {
            let link = link.as_ref();
            link.map(|link| context! { href => link.href, label => *link.label.spoken(language) })
        };
        let labelled = |label: &'static Label, value: Option<&str>| {
            value.map(|value| context! { label => *label.spoken(language), value => value })
        };
        context! {
            kind => self.kind.name(),
            title => words.title,
            text => words.text,
            advice => words.advice,
            link => link(&self.link),
            button => link(&self.button),
            account => labelled(words::SIGNED_IN_AS, self.account),
            correlation_id => labelled(words::HELP, self.correlation_id),
        }
    }
}

/// Why the pages could not be prepared: a template of the operator's is broken, or this build is.
#[derive(Debug, thiserror::Error)]
#[error("a page template is broken: {0}")]
pub struct BrokenPage(String);

impl BrokenPage {
    /// `{:#}` of the template engine would quote the source; name, line and reason are enough.
    fn of(error: &minijinja::Error) -> Self {
        Self(error.to_string())
    }
}

/// The pages, ready to be filled in.
pub struct Pages {
    /// The operator's templates over the built-in ones.
    templates: Environment<'static>,
    built_in: Environment<'static>,
    brand: Value,
    style: String,
    policy: HeaderValue,
    /// `frame-ancestors` alone, where there are any.
    ancestors: Option<HeaderValue>,
}

impl Pages {
    /// Reads the templates, and tries each kind of page in each language.
    ///
    /// # Errors
    /// [`BrokenPage`], with the name and the line.
    pub fn new(branding: Branding) -> Result<Self, BrokenPage> {
        let Branding { name, logo, accent, footer, parents, templates: own } = branding;
        let mut built_in = Environment::new();
        built_in.add_template(SHEET, BUILT_IN_SHEET).map_err(|error| BrokenPage::of(&error))?;
        let mut templates = built_in.clone();
        let mut style = BUILT_IN_STYLE.to_owned();
        for (name, text) in own {
            if name == STYLE {
                style = text;
            } else {
                templates.add_template_owned(name, text).map_err(|error| BrokenPage::of(&error))?;
            }
        }
        style.push_str(&accent.map(|accent| accented(Colour(accent))).unwrap_or_default());
        // Bytes that a browser would hash differently would leave every page without its style.
        let style = style.replace("\r\n", "\n");
        let hash = STANDARD.encode(sha256(style.as_bytes()));
        // No form-action: browsers apply it to the redirect that follows the sign-out form, which leads to the provider.
        let framing = parents.join(" ");
        let framing = if parents.is_empty() {
            "frame-ancestors 'none'".to_owned()
        } else {
            format!("frame-ancestors 'self' {framing}")
        };
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; {framing}; img-src 'self'"
        );
        let ancestors = HeaderValue::from_str(&framing).ok().filter(|_| !parents.is_empty());
        let policy = HeaderValue::from_str(&policy).map_err(|error| BrokenPage(error.to_string()))?;
        let brand = context! { name => name, logo => logo, footer => footer };
        let pages = Self { templates, built_in, brand, style, policy, ancestors };
        pages.try_all()?;
        Ok(pages)
    }

    /// The policy that says who may frame us, where anybody may.
    pub fn ancestors(&self) -> Option<&HeaderValue> {
        self.ancestors.as_ref()
    }

    fn try_all(&self) -> Result<(), BrokenPage> {
        for kind in Kind::ALL {
            let everything = Page {
                kind,
                wording: words::FORBIDDEN,
                button: Some(Link { href: "/", label: words::SIGN_OUT }),
                link: Some(Link { href: "/", label: words::RETRY }),
                account: Some("somebody"),
                correlation_id: Some("0"),
            };
            let little = Page { button: None, link: None, account: None, correlation_id: None, ..everything };
            for language in Language::ALL {
                let step = Extra::Step(Step::Put { id: "id", sealed: "form", to: "/" });
                let form = Extra::Form(Form { action: "/", path: "/", body: "a=1" });
                let rows = [Row::example(true), Row::example(false)];
                let list = Extra::Sessions { rows: &rows, more: true };
                let also = Extra::Also(Link { href: "/", label: words::WHERE_SIGNED_IN });
                let extras = [None, Some(&step), Some(&form), Some(&list), Some(&also)];
                for (page, extra) in extras.map(|extra| (extra.map_or(&everything, |_| &little), extra)) {
                    self.render(&self.templates, page, extra, language)
                        .map_err(|error| BrokenPage::of(&error))?;
                }
            }
        }
        Ok(())
    }

    fn render(
        &self,
        templates: &Environment<'static>,
        page: &Page<'_>,
        extra: Option<&Extra<'_>>,
        language: Language,
    ) -> Result<String, minijinja::Error> {
        let own = templates.get_template(&page.kind.template());
        let template = own.or_else(|_| templates.get_template(SHEET))?;
        template.render(context! {
            lang => language.tag(),
            page => page.to_context(language),
            extra => extra.map_or_else(|| context! {}, |extra| extra.to_context(language)),
            brand => self.brand.clone(),
            style => &self.style,
        })
    }

    fn policy_for(&self, extra: Option<&Extra<'_>>) -> HeaderValue {
        let more = extra.and_then(Extra::policy).unwrap_or_default();
        let policy = [self.policy.as_bytes(), more.as_bytes()].concat();
        HeaderValue::from_bytes(&policy).unwrap_or_else(|_| self.policy.clone())
    }

    /// A page, in this language.
    pub fn page(&self, status: StatusCode, page: &Page<'_>, language: Language) -> HttpResponse {
        self.page_with(status, page, None, language)
    }

    /// A page that holds something beside its words.
    pub fn page_with(
        &self,
        status: StatusCode,
        page: &Page<'_>,
        extra: Option<&Extra<'_>>,
        language: Language,
    ) -> HttpResponse {
        let complete = |html: &String| extra.is_none_or(|extra| extra.is_in(html));
        let rendered = match self.render(&self.templates, page, extra, language) {
            Ok(html) if complete(&html) => Ok(html),
            // A template that knows nothing of it: the page would lead nowhere.
            Ok(_) => self.render(&self.built_in, page, extra, language),
            Err(error) => {
                tracing::error!(%error, "a page template failed; the built-in page is shown instead");
                self.render(&self.built_in, page, extra, language)
            }
        };
        let mut response = match rendered {
            Ok(html) => HttpResponse::build(status).content_type("text/html; charset=utf-8").body(html),
            Err(error) => {
                tracing::error!(%error, "a page could not be rendered");
                HttpResponse::build(status)
                    .content_type("text/plain; charset=utf-8")
                    .body(page.wording.spoken(language).title)
            }
        };
        harden(&mut response);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy_for(extra));
        if self.ancestors.is_some() {
            // It knows no list; `frame-ancestors` does.
            headers.remove(header::X_FRAME_OPTIONS);
        }
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
        headers.append(header::VARY, HeaderValue::from_static("Accept-Language"));
        response
    }
}

/// The rules that bring in a colour of the operator's: as it is below the words on a button, and for text and outlines
/// moved until it can be read.
fn accented(accent: Colour) -> String {
    let rule = |card: Colour| {
        let shade = accent.readable_on(card);
        format!(":root{{--accent:{shade};--fill:{accent};--on:{}}}", accent.black_or_white())
    };
    let [light, dark] = CARDS.map(rule);
    format!("{light}\n@media (prefers-color-scheme:dark){{{dark}}}\n")
}

#[cfg(test)]
mod tests;
