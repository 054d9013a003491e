//! The settings of a handle, checked, with every default in one place. How they are given lives in `builder.rs`.

use std::time::Duration;

use crate::fencing::Fencing;
use crate::invalid::InvalidInput;
use crate::lease::Terms;
use crate::membership::{Assertion, Durability, Eviction, Membership, marker_of};
use crate::quorum::quorum;
use crate::resources::{Keys, Resources};
use crate::retry::Retry;
use crate::validity::{DEFAULT_DRIFT_FACTOR, Validity, check_drift_factor};

/// How long a lock lasts on nodes that hear nothing more of its holder.
pub(crate) const DEFAULT_TTL: Duration = Duration::from_secs(10);
/// How long `lock` goes on without a quorum where no `wait_for` is set.
pub(crate) const NO_QUORUM_LIMIT: Duration = Duration::from_secs(10);

/// How long a node that may have forgotten locks does not vote, where no `max_ttl` is set.
pub(crate) const DEFAULT_MAX_TTL: Duration = Duration::from_secs(60);

/// Far above every lock, and far below what nodes count exactly.
const LONGEST_QUARANTINE: Duration = Duration::from_secs(365 * 24 * 3600);

/// Whether nodes are joined before they vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quarantine {
    On,
    Off,
}

/// What a handle was built with. Every combination that exists is usable: see [`Settings::check`].
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) ttl: Duration,
    pub(crate) time_limit: Option<Duration>,
    pub(crate) drift_factor: f64,
    /// How many nodes certify a fencing token; a quorum by default.
    pub(crate) certify_on: Option<usize>,
    pub(crate) retry: Retry,
    /// Of each lock that does not say otherwise.
    pub(crate) wait_for: Option<Duration>,
    /// The same.
    pub(crate) max_hold: Option<Duration>,
    pub(crate) prefix: String,
    pub(crate) quarantine: Quarantine,
    /// The longest TTL of any lock.
    pub(crate) max_ttl: Duration,
    pub(crate) durability: Durability,
    pub(crate) eviction: Eviction,
    /// Instead of the addresses, in their order.
    pub(crate) node_names: Option<Vec<String>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ttl: DEFAULT_TTL,
            time_limit: None,
            drift_factor: DEFAULT_DRIFT_FACTOR,
            certify_on: None,
            retry: Retry::DEFAULT,
            wait_for: None,
            max_hold: None,
            prefix: String::new(),
            quarantine: Quarantine::On,
            max_ttl: DEFAULT_MAX_TTL,
            durability: Durability::MayForget,
            eviction: Eviction::Told,
            node_names: None,
        }
    }
}

/// A lock that is held for no time is none.
pub(crate) fn check_max_hold(max_hold: Option<Duration>) -> Result<(), InvalidInput> {
    match max_hold {
        Some(max) if max.is_zero() => Err(InvalidInput::ZeroLimit { setting: "max_hold" }),
        _ => Ok(()),
    }
}

impl Settings {
    /// # Errors
    ///
    /// Whatever could not work: see [`InvalidInput`].
    pub(crate) fn check(&self) -> Result<(), InvalidInput> {
        check_drift_factor(self.drift_factor)?;
        self.validity(self.ttl)?;
        if self.max_ttl.as_millis() == 0 {
            return Err(InvalidInput::ZeroLimit { setting: "max_ttl" });
        }
        if self.quarantine == Quarantine::On && self.max_ttl > LONGEST_QUARANTINE {
            return Err(InvalidInput::MaxTtlTooLong { max_ttl: self.max_ttl });
        }
        if self.time_limit.is_some_and(|limit| limit.is_zero()) {
            return Err(InvalidInput::ZeroLimit { setting: "time_limit" });
        }
        check_max_hold(self.max_hold)?;
        self.retry.check()?;
        // A name of one byte shows whether the prefix leaves room for any, and whether it is reserved.
        Keys::parse(Resources::from("x"), &self.prefix).map(|_| ())
    }

    /// How long a lock with this TTL is valid.
    ///
    /// # Errors
    ///
    /// A TTL that cannot be used, or that outlasts the quarantine.
    pub(crate) fn validity(&self, ttl: Duration) -> Result<Validity, InvalidInput> {
        let (validity, max_ttl) = (Validity::new(ttl, self.drift_factor)?, self.max_ttl);
        if self.quarantine == Quarantine::On && ttl > max_ttl {
            return Err(InvalidInput::TtlAboveMax { ttl, max_ttl });
        }
        Ok(validity)
    }

    /// What is asserted of the nodes when one is joined, if they are.
    ///
    /// # Errors
    ///
    /// Names that are none.
    pub(crate) fn assertion(
        &self,
        names: impl IntoIterator<Item = String>,
    ) -> Result<Option<Assertion>, InvalidInput> {
        let nodes = Membership::new(names)?;
        let Self { max_ttl, durability, eviction, .. } = *self;
        let marker = marker_of(&self.prefix);
        let assertion = Assertion { marker, nodes, max_ttl, durability, eviction };
        Ok((self.quarantine == Quarantine::On).then_some(assertion))
    }

    /// # Errors
    ///
    /// Fewer nodes than a quorum of `nodes` are to certify, or more than there are.
    pub(crate) fn check_certify_on(&self, nodes: usize) -> Result<(), InvalidInput> {
        match self.certify_on {
            Some(certify_on) if !(quorum(nodes)..=nodes).contains(&certify_on) => {
                Err(InvalidInput::CertifyOn { certify_on, nodes })
            }
            _ => Ok(()),
        }
    }

    /// The terms of a lock on `resources` for `ttl`, or for the TTL of the handle.
    ///
    /// # Errors
    ///
    /// A TTL or a resource that cannot be used.
    pub(crate) fn terms(
        &self,
        resources: Resources,
        ttl: Option<Duration>,
    ) -> Result<Terms, InvalidInput> {
        let validity = self.validity(ttl.unwrap_or(self.ttl))?;
        let keys = Keys::parse(resources, &self.prefix)?;
        let time_limit = self.time_limit.unwrap_or_else(|| validity.default_time_limit());
        Ok(Terms { keys, validity, fencing: Fencing::Off, time_limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_work_is_refused_before_anything_is_sent() {
        let refused = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.check().unwrap_err()
        };
        assert!(Settings::default().check().is_ok());
        let error = refused(|settings| settings.drift_factor = 1.0);
        assert!(matches!(error, InvalidInput::DriftFactor { .. }));
        let error = refused(|settings| settings.ttl = Duration::ZERO);
        assert!(matches!(error, InvalidInput::TtlTooShort { .. }));
        let error = refused(|settings| settings.max_ttl = Duration::MAX);
        assert!(matches!(error, InvalidInput::MaxTtlTooLong { .. }));
        let error = refused(|settings| settings.time_limit = Some(Duration::ZERO));
        assert!(matches!(error, InvalidInput::ZeroLimit { setting: "time_limit" }));
        let error =
            refused(|settings| settings.retry = Retry::between(Duration::ZERO, DEFAULT_TTL));
        assert!(matches!(error, InvalidInput::ZeroLimit { setting: "retry" }));
        let error = refused(|settings| settings.prefix = "x".repeat(2_000));
        assert!(matches!(error, InvalidInput::KeyTooLong { .. }));
    }

    #[test]
    fn a_lock_has_its_own_ttl_or_that_of_the_handle() {
        let settings = Settings { time_limit: None, ..Settings::default() };
        let terms = settings.terms("a".into(), None).unwrap();
        assert_eq!(terms.validity.ttl(), DEFAULT_TTL);
        assert_eq!(terms.time_limit, Duration::from_millis(500));
        let terms = settings.terms("a".into(), Some(Duration::from_secs(1))).unwrap();
        assert_eq!(terms.validity.ttl(), Duration::from_secs(1));
        assert_eq!(terms.time_limit, Duration::from_millis(50));
    }

    #[test]
    fn no_lock_outlasts_the_quarantine_where_there_is_one() {
        let ms = Duration::from_millis;
        let on = Settings { max_ttl: ms(2000), ttl: ms(2000), ..Settings::default() };
        assert!(on.check().is_ok());
        let above = Err(InvalidInput::TtlAboveMax { ttl: ms(2001), max_ttl: ms(2000) });
        assert_eq!(on.validity(ms(2001)).map(drop), above);
        let off = Settings { quarantine: Quarantine::Off, ..on };
        assert!(off.validity(ms(2001)).is_ok());
    }

    #[test]
    fn a_quarantine_lasts_for_a_year_at_most() {
        let of_days = |days: u64, quarantine| {
            let max_ttl = Duration::from_secs(days * 86_400);
            Settings { max_ttl, quarantine, ..Settings::default() }.check()
        };
        assert!(of_days(365, Quarantine::On).is_ok());
        assert!(matches!(of_days(366, Quarantine::On), Err(InvalidInput::MaxTtlTooLong { .. })));
        assert!(of_days(366, Quarantine::Off).is_ok());
    }

    #[test]
    fn nodes_are_joined_where_there_is_a_quarantine() {
        let names = || ["a", "b"].map(str::to_owned);
        let on = Settings { prefix: "app/".to_owned(), ..Settings::default() };
        let assertion = on.assertion(names()).unwrap().unwrap();
        assert_eq!(assertion.marker, marker_of("app/"));
        assert_eq!(assertion.max_ttl, DEFAULT_MAX_TTL);
        let off = Settings { quarantine: Quarantine::Off, ..Settings::default() };
        assert!(off.assertion(names()).unwrap().is_none());
        assert!(off.assertion(["a", "a"].map(str::to_owned)).is_err(), "checked all the same");
    }

    #[test]
    fn a_quorum_certifies_a_token_or_more_and_no_more_than_there_are() {
        let check = |certify_on| Settings { certify_on, ..Settings::default() }.check_certify_on(5);
        assert_eq!(check(None), Ok(()));
        for certify_on in 0..=7 {
            let is_ok = check(Some(certify_on)).is_ok();
            assert_eq!(is_ok, (3..=5).contains(&certify_on), "{certify_on} of 5");
        }
    }
}
