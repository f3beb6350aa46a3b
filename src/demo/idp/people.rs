//! Who can sign in at the demo's provider.
//!
//! I own: four made-up people. I may call: nothing. I never know a password: there is one for all, and it is printed.

use serde_json::{Value, json};

/// Somebody to sign in as.
#[derive(Debug, PartialEq, Eq)]
pub struct Person {
    /// The short name in forms, and the name that apps see.
    pub login: &'static str,
    /// The whole name.
    pub name: &'static str,
    /// What they are, for the login page.
    pub about: &'static str,
    /// What apps may go by.
    pub roles: &'static [&'static str],
}

/// Everybody.
pub const PEOPLE: &[Person] = &[
    Person { login: "anna", name: "Anna Berg", about: "teaches", roles: &["teacher"] },
    Person { login: "ben", name: "Ben Cruz", about: "studies", roles: &["student"] },
    Person { login: "chloe", name: "Chloé Doyle", about: "runs the school", roles: &["teacher", "admin"] },
    Person { login: "dev", name: "Dev Patel", about: "is only visiting", roles: &[] },
];

/// The person of this short name.
pub fn find(login: &str) -> Option<&'static Person> {
    PEOPLE.iter().find(|person| person.login == login)
}

impl Person {
    /// The subject identifier: never the name, which people change.
    pub fn subject(&self) -> String {
        format!("demo-{}", self.login)
    }

    /// An address that nobody has.
    pub fn email(&self) -> String {
        format!("{}@school.example", self.login)
    }

    /// What the provider tells clients.
    pub fn claims(&self) -> Value {
        json!({
            "sub": self.subject(),
            "preferred_username": self.login,
            "name": self.name,
            "email": self.email(),
            "email_verified": true,
            "roles": self.roles,
        })
    }
}
