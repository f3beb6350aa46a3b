//! How many connections there are, in all and from one address.
//!
//! I own: [`Gate`] and the [`Pass`] that each connection holds. I may call: `domain`. I never remember an address that
//! has no connection.

use crate::domain::rate::Sender;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts connections, for all workers.
pub struct Gate {
    most: usize,
    most_from_one: usize,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    all: usize,
    from: HashMap<Sender, usize>,
}

/// Why a connection is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// There are `max_connections`.
    Everywhere,
    /// There are `max_connections_per_address` from there.
    FromThere,
}

/// Counts as one connection until it is dropped.
pub struct Pass {
    gate: Arc<Gate>,
    from: Option<Sender>,
}

impl Gate {
    /// An empty one.
    pub fn new(most: usize, most_from_one: usize) -> Self {
        Self { most, most_from_one, inside: Mutex::default() }
    }

    /// Lets a connection in. Those from `None` are counted in all only: a proxy speaks for many.
    ///
    /// # Errors
    /// See [`Full`].
    pub fn enter(self: &Arc<Self>, from: Option<IpAddr>) -> Result<Pass, Full> {
        let from = from.map(Sender::of);
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if inside.all >= self.most {
            return Err(Full::Everywhere);
        }
        if let Some(from) = from {
            let count = inside.from.get(&from).copied().unwrap_or(0);
            if count >= self.most_from_one {
                return Err(Full::FromThere);
            }
            inside.from.insert(from, count + 1);
        }
        inside.all += 1;
        drop(inside);
        Ok(Pass { gate: Arc::clone(self), from })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = self.gate.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.all = inside.all.saturating_sub(1);
        let Some(from) = self.from else { return };
        match inside.from.get_mut(&from) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                inside.from.remove(&from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r79_a33_one_address_does_not_take_every_place() {
        let gate = Arc::new(Gate::new(4, 2));
        let enter = |from: &str| gate.enter(Some(from.parse().unwrap()));
        let _a = enter("192.0.2.1").ok().unwrap();
        let b = enter("192.0.2.1").ok().unwrap();
        assert_eq!(enter("192.0.2.1").err(), Some(Full::FromThere));
        let _c = enter("2001:db8::1").ok().unwrap();
        let _d = enter("2001:db8::ffff:2").ok().unwrap();
        assert_eq!(enter("192.0.2.2").err(), Some(Full::Everywhere));
        drop(b);
        assert_eq!(enter("2001:db8::3").err(), Some(Full::FromThere), "one network of IPv6 is one sender");
        assert!(enter("192.0.2.1").is_ok());
        assert!(gate.enter(None).is_ok());
    }

    #[test]
    fn whoever_is_gone_is_forgotten() {
        let gate = Arc::new(Gate::new(9, 9));
        drop([gate.enter(Some([192, 0, 2, 1].into())), gate.enter(None)]);
        let inside = gate.inside.lock().unwrap();
        assert_eq!((inside.all, inside.from.len()), (0, 0));
    }
}
