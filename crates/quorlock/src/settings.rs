//! The settings of a handle, checked, with every default in one place. How they are given lives in `builder.rs`.

use std::time::Duration;

use crate::invalid::InvalidInput;
use crate::lease::Terms;
use crate::resources::{Keys, Resources};
use crate::retry::Retry;
use crate::validity::{DEFAULT_DRIFT_FACTOR, Validity, check_drift_factor};

/// How long a lock lasts on nodes that hear nothing more of its holder.
pub(crate) const DEFAULT_TTL: Duration = Duration::from_secs(10);
/// How long `lock` goes on without a quorum where no `wait_for` is set.
pub(crate) const NO_QUORUM_LIMIT: Duration = Duration::from_secs(10);

/// What a handle was built with. Every combination that exists is usable: see [`Settings::check`].
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) ttl: Duration,
    pub(crate) time_limit: Option<Duration>,
    pub(crate) drift_factor: f64,
    pub(crate) retry: Retry,
    pub(crate) prefix: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ttl: DEFAULT_TTL,
            time_limit: None,
            drift_factor: DEFAULT_DRIFT_FACTOR,
            retry: Retry::DEFAULT,
            prefix: String::new(),
        }
    }
}

impl Settings {
    /// # Errors
    ///
    /// Whatever could not work: see [`InvalidInput`].
    pub(crate) fn check(&self) -> Result<(), InvalidInput> {
        check_drift_factor(self.drift_factor)?;
        Validity::new(self.ttl, self.drift_factor)?;
        if self.time_limit.is_some_and(|limit| limit.is_zero()) {
            return Err(InvalidInput::ZeroLimit { setting: "time_limit" });
        }
        self.retry.check()?;
        // A name of one byte shows whether the prefix leaves room for any, and whether it is reserved.
        Keys::parse(Resources::from("x"), &self.prefix).map(|_| ())
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
        let validity = Validity::new(ttl.unwrap_or(self.ttl), self.drift_factor)?;
        let keys = Keys::parse(resources, &self.prefix)?;
        let time_limit = self.time_limit.unwrap_or_else(|| validity.default_time_limit());
        Ok(Terms { keys, validity, time_limit })
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
}
