//! What people, operators and the provider want of a replica.
//!
//! I own: these steps, and what the oracle is told of each before it begins. I may call: the whole room. I never wait for an
//! answer.

use super::super::oracle::{How, Outcome};
use super::{Meant, PEOPLE, SIDS, What, Whose, World, asks, ended, facts, signs_in};
use crate::gateway::Gateway;
use crate::gateway::ending::Hint;
use crate::gateway::operating::Selection;
use crate::ports::Stopwatch as _;
use std::sync::Arc;

impl World {
    pub(super) fn login(&mut self, side: usize, person: usize, sid: usize, over: Option<usize>) {
        let over = over.and_then(|number| self.oracle.choose(number));
        let ticket = over.map(|session| self.oracle.sessions[session].ticket.clone());
        self.serial += 1;
        let code = format!("{} {} {}", PEOPLE[person], SIDS[sid], self.serial);
        let work = signs_in(self.gateway(side), Arc::clone(&self.origin), code.clone(), ticket);
        self.threaten(over.as_slice());
        self.oracle.signing_in(person, true);
        self.begin(side, What::Login { code, person, sid, over }, work);
    }

    pub(super) fn request(&mut self, side: usize, session: usize, path: &str) {
        let Some(session) = self.oracle.choose(session) else { return };
        let (must, alive_until) = self.oracle.expect(session, side, self.now());
        let ticket = self.oracle.sessions[session].ticket.clone();
        let facts = facts(&self.origin, path);
        if path.starts_with("/api/") {
            // It may write to the record.
            self.oracle.holds_nothing(1 - side, Some(session));
        }
        let work = asks(self.gateway(side), facts, ticket);
        self.begin(side, What::Use { session, must, alive_until }, work);
    }

    pub(super) fn sign_out(&mut self, side: usize, session: usize) {
        let Some(session) = self.oracle.choose(session) else { return };
        let ticket = self.oracle.sessions[session].ticket.clone();
        let (gateway, origin) = (self.gateway(side), Arc::clone(&self.origin));
        self.end(side, vec![session], None, None, async move {
            let answer = gateway.sign_out(&ticket, &origin, Hint::Withheld, gateway.clock.now()).await;
            ended(&gateway, &answer)
        });
    }

    /// Another session of the same person, or the same.
    pub(super) fn own(&mut self, side: usize, session: usize, other: usize) {
        let Some(session) = self.oracle.choose(session) else { return };
        let theirs = self.oracle.of(Some(self.oracle.sessions[session].person), None);
        let other = theirs[other % theirs.len()];
        let gateway = self.gateway(side);
        let ticket = self.oracle.sessions[session].ticket.clone();
        let handle = gateway.keys.handle(&self.oracle.sessions[other].key);
        self.end(side, vec![other], None, None, async move {
            let now = gateway.clock.now();
            let Ok(Some(own)) = gateway.store.load(&ticket, now).await else {
                return Outcome::Ended(How::Not);
            };
            match gateway.end_own(&own, &handle, now).await {
                // Which one it was said, so that one knows that nothing was done.
                Ok(crate::gateway::own::EndedOwn::NotThere) => Outcome::Ended(How::Not),
                answer => ended(&gateway, &answer),
            }
        });
    }

    pub(super) fn operator(&mut self, side: usize, whose: Whose) {
        let gateway = self.gateway(side);
        let (targets, meant, name) = match whose {
            Whose::All(_) => (self.oracle.of(None, None), (None, None), None),
            Whose::Person(person) => {
                let name = PEOPLE[person].to_owned();
                (self.oracle.of(Some(person), None), (Some(person), None), Some(name))
            }
            Whose::Sid(session) | Whose::Both(_, session) => {
                let Some(session) = self.oracle.choose(session) else { return };
                let signed = &self.oracle.sessions[session];
                let meant = (Some(signed.person), Some(signed.sid));
                (vec![session], meant, Some(gateway.keys.handle(&signed.key)))
            }
        };
        self.end(side, targets, Some(meant), None, async move {
            let selection = match (&name, whose) {
                (None, _) => Selection::All,
                (Some(name), Whose::Person(_)) => Selection::User(name),
                (Some(name), _) => Selection::Handle(name),
            };
            ended(&gateway, &gateway.end_sessions(selection, gateway.clock.now()).await)
        });
    }

    pub(super) fn person(&mut self, side: usize, person: usize) {
        let gateway = self.gateway(side);
        let meant = (Some(person), None);
        self.announced(side, meant, true, async move {
            let selection = Selection::Person("https://idp.example.com", PEOPLE[person]);
            ended(&gateway, &gateway.end_sessions(selection, gateway.clock.now()).await)
        });
    }

    pub(super) fn notice(&mut self, side: usize, whose: Whose) {
        self.serial += 1;
        let (person, sid) = match whose {
            Whose::All(session) => match self.oracle.choose(session) {
                Some(session) => (Some(self.oracle.sessions[session].person), None),
                None => return,
            },
            Whose::Person(person) => (Some(person), None),
            Whose::Sid(sid) => (None, Some(sid % 2)),
            Whose::Both(person, sid) => (Some(person), Some(sid % 2)),
        };
        let token = match (person, sid) {
            (Some(person), None) => format!("sub {} {}", PEOPLE[person], self.serial),
            (None, Some(sid)) => format!("sid {} {}", SIDS[sid], self.serial),
            (Some(person), Some(sid)) => format!("both {} {} {}", PEOPLE[person], SIDS[sid], self.serial),
            (None, None) => return,
        };
        let gateway = self.gateway(side);
        self.announced(side, (person, sid), true, async move {
            match gateway.hear_logout(None, &token).await {
                Ok(_) => Outcome::Ended(How::Done),
                Err(_) => Outcome::Ended(How::Later),
            }
        });
    }

    pub(super) fn frame(&mut self, side: usize, sid: usize) {
        let gateway = self.gateway(side);
        self.announced(side, (None, Some(sid)), false, async move {
            let (_, provider) = gateway.providers.find(None).unwrap();
            let answer = gateway.hear_frame(provider.issuer(), SIDS[sid]).await;
            Outcome::Ended(if answer.is_ok() { How::Done } else { How::Not })
        });
    }

    fn announced(
        &mut self,
        side: usize,
        meant: Meant,
        binds: bool,
        work: impl Future<Output = Outcome> + Send + 'static,
    ) {
        let targets = self.oracle.of(meant.0, meant.1);
        let notice = self.oracle.announce(meant, self.now().0, binds);
        self.end(side, targets, Some(meant), Some(notice), work);
    }

    fn end(
        &mut self,
        side: usize,
        targets: Vec<usize>,
        meant: Option<Meant>,
        notice: Option<usize>,
        work: impl Future<Output = Outcome> + Send + 'static,
    ) {
        self.threaten(&targets);
        self.begin(side, What::End { targets, meant, notice }, work);
    }

    fn threaten(&mut self, targets: &[usize]) {
        self.oracle.threaten(targets, self.times.elapsed());
        for at in targets {
            (0..2).for_each(|side| self.oracle.holds_nothing(side, Some(*at)));
        }
    }

    pub(super) fn gateway(&self, side: usize) -> Arc<Gateway> {
        Arc::clone(&self.sides[side].gateway)
    }
}
