//! Groups of variables: the settings of a part of the program.

use sms_app::abuse_settings::AbuseSettings;
use sms_app::conversion_guard::ConversionGuard;
use sms_domain::code::CodeLength;
use sms_domain::code_settings::CodeSettings;
use sms_domain::conversion_test::GuardMode;
use sms_domain::phone::Region;
use sms_domain::secrets::Secrets;
use sms_http::{Doors, HttpSettings};

use crate::StoreSettings;
use crate::vars::Vars;

impl Vars<'_> {
    /// The store's settings, which every program needs besides its address.
    pub(super) fn store(&mut self) -> StoreSettings {
        StoreSettings { policy: self.policy(), accepts_eviction: self.accepts_eviction() }
    }

    /// Settings of codes, if there are `secrets`.
    pub(super) fn codes(
        &mut self,
        secrets: Option<Secrets>,
        length: CodeLength,
    ) -> Option<CodeSettings> {
        let test_numbers = self.test_numbers(length);
        Some(CodeSettings { secrets: secrets?, length, test_numbers })
    }

    pub(super) fn abuse(&mut self, region: Region) -> AbuseSettings {
        AbuseSettings {
            limits: self.limits(),
            countries: self.countries(region),
            guard: ConversionGuard::new(self.guard()),
            challenge: self.challenge(),
            budget: self.budget(),
        }
    }

    /// The settings of the API where SMS are requested.
    pub(super) fn request_http(&mut self) -> HttpSettings {
        let http = self.http();
        HttpSettings { doors: self.doors(&http.callers.keys), ..http }
    }

    /// For codes that somebody else made and whose checks nobody reports: there is nothing to be
    /// challenged, and nothing for the conversion guard to count.
    pub(super) fn abuse_of_messages(&mut self, region: Region) -> AbuseSettings {
        AbuseSettings {
            limits: self.limits(),
            countries: self.countries(region),
            guard: ConversionGuard::new(GuardMode::Off),
            challenge: None,
            budget: self.budget(),
        }
    }

    pub(super) fn http(&mut self) -> HttpSettings {
        HttpSettings {
            region: self.region(),
            callers: self.callers(),
            origins: self.origins(),
            base_path: self.base_path(),
            verify_services: self.verify_services(),
            doors: Doors::default(),
        }
    }
}
