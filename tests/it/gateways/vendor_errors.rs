//! Answers of each vendor that are refusals, and the class that each has.

use shared::provider::Class;
use shared::provider::Class::{
    Ambiguous, Configuration, NotHere, Permanent, Throttled, Transient, Unlisted,
};

use crate::support::vendor::Vendor;

/// Status, code, class.
type Refusal = (u16, &'static str, Class);

/// CCP's status codes, which come with 200.
pub const CCP: &[(&str, Class)] = &[
    ("160000", Transient),
    ("160007", Transient),
    ("160050", Transient),
    ("111050", Transient),
    ("160038", Throttled),
    ("160022", Throttled),
    ("111111", Throttled),
    ("160042", Permanent),
    ("160034", Permanent),
    ("160073", Permanent),
    ("160062", NotHere),
    ("113302", NotHere),
    ("160051", NotHere),
    ("160031", Configuration),
    ("160032", Configuration),
    ("111109", Configuration),
    ("111142", Configuration),
    ("111199", Configuration),
    ("112300", Configuration),
    ("172001", Ambiguous),
    ("160054", Ambiguous),
    ("999999", Unlisted),
];

/// Of a vendor, at least one of each class.
pub fn refusals(vendor: Vendor) -> &'static [Refusal] {
    match vendor {
        Vendor::Aliyun => ALIYUN,
        Vendor::Tencent => TENCENT,
        Vendor::Twilio => TWILIO,
        Vendor::Aws => AWS,
        Vendor::Webhook => WEBHOOK,
    }
}

const ALIYUN: &[Refusal] = &[
    (200, "isp.SYSTEM_ERROR", Transient),
    (200, "isv.NEVER_HEARD_OF", Unlisted),
    (500, "NeverHeardOf", Ambiguous),
    (500, "InternalError", Ambiguous),
    (503, "ServiceUnavailable", Transient),
    (200, "isv.BUSINESS_LIMIT_CONTROL", Throttled),
    (400, "Throttling.User", Throttled),
    (200, "isv.MOBILE_NUMBER_ILLEGAL", Permanent),
    (200, "isv.BLACK_KEY_CONTROL_LIMIT", Permanent),
    (200, "isv.SMS_CONTENT_ILLEGAL", Permanent),
    (200, "isv.SMS_TEST_NUMBER_LIMIT", NotHere),
    (200, "isv.SMS_TEMPLATE_ILLEGAL", Configuration),
    (200, "isv.SMS_SIGNATURE_ILLEGAL", Configuration),
    (200, "isv.AMOUNT_NOT_ENOUGH", Configuration),
    (200, "isv.OUT_OF_SERVICE", Configuration),
    (200, "isv.DAY_LIMIT_CONTROL", Configuration),
    (200, "isv.MONTH_LIMIT_CONTROL", Configuration),
    (200, "isv.DOMESTIC_NUMBER_NOT_SUPPORTED", Configuration),
    (200, "isv.EXTEND_CODE_ERROR", Configuration),
    (200, "isv.SIGN_STATE_ILLEGAL", Configuration),
    (400, "InvalidVersion", Configuration),
    (400, "MissingSignName", Configuration),
    (400, "InvalidSecurityToken.Expired", Configuration),
    (200, "isp.RAM_PERMISSION_DENY", Configuration),
    (400, "SignatureDoesNotMatch", Configuration),
    (500, "\u{0}not a code", Ambiguous),
];

const TENCENT: &[Refusal] = &[
    (200, "InternalError.OtherError", Transient),
    (200, "FailedOperation.NeverHeardOf", Unlisted),
    (200, "InternalError.NeverHeardOf", Ambiguous),
    (200, "InternalError.Timeout", Ambiguous),
    (200, "InternalError.SendAndRecvFail", Ambiguous),
    (200, "InternalError.ParseBackendResponseFail", Ambiguous),
    (200, "LimitExceeded.PhoneNumberOneHourLimit", Throttled),
    (200, "LimitExceeded.PhoneNumberThirtySecondLimit", Throttled),
    (200, "LimitExceeded.DeliveryFrequencyLimit", Throttled),
    (200, "LimitExceeded.GlobalSmsSendingRateLimit", Throttled),
    (200, "RequestLimitExceeded.UinLimitExceeded", Throttled),
    (200, "InvalidParameterValue.IncorrectPhoneNumber", Permanent),
    (200, "FailedOperation.PhoneNumberInBlacklist", Permanent),
    (200, "FailedOperation.PhoneNumberParseFail", Permanent),
    (200, "LimitExceeded.AppCountryOrRegionInBlacklist", NotHere),
    (200, "UnsupportedOperation.UnsupportedRegion", NotHere),
    (200, "UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber", NotHere),
    (200, "LimitExceeded.AppGlobalDailyLimit", Configuration),
    (200, "LimitExceeded.AppMainlandChinaDailyLimit", Configuration),
    (200, "LimitExceeded.AppCountryOrRegionDailyLimit", Configuration),
    (200, "FailedOperation.FailResolvePacket", Configuration),
    (200, "InternalError.RestApiInterfaceNotExist", Configuration),
    (200, "UnsupportedRegion", Configuration),
    (200, "IpNotInWhitelist", Configuration),
    (200, "NoSuchVersion", Configuration),
    (200, "FailedOperation.TemplateIncorrectOrUnapproved", Configuration),
    (200, "FailedOperation.SignatureIncorrectOrUnapproved", Configuration),
    (200, "FailedOperation.InsufficientBalanceInSmsPackage", Configuration),
    (200, "InternalError.RequestTimeException", Configuration),
    (200, "\u{0}not a code", Ambiguous),
];

const TWILIO: &[Refusal] = &[
    (503, "20503", Transient),
    (400, "21702", Transient),
    (400, "99999", Unlisted),
    (500, "99999", Ambiguous),
    (429, "20429", Throttled),
    (400, "21611", Throttled),
    (400, "21211", Permanent),
    (400, "21610", Permanent),
    (400, "21614", Permanent),
    (400, "21408", NotHere),
    (400, "21608", NotHere),
    (400, "21612", NotHere),
    (400, "21703", NotHere),
    (401, "20003", Configuration),
    (400, "21606", Configuration),
    (500, "20500", Ambiguous),
];

const AWS: &[Refusal] = &[
    (400, "ThrottlingException", Throttled),
    (500, "InternalServerException", Transient),
    (400, "ValidationException.FIELD_VALIDATION_FAILED.DestinationPhoneNumber", Permanent),
    (400, "ValidationException.INVALID_PARAMETER.OriginationIdentity", Configuration),
    (400, "ValidationException.INVALID_IDENTITY_FOR_DESTINATION_COUNTRY", NotHere),
    (400, "ValidationException.MISSING_PARAMETER", Configuration),
    (400, "ValidationException", Unlisted),
    (400, "ServiceQuotaExceededException.MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT", Configuration),
    (400, "ServiceQuotaExceededException", Configuration),
    (400, "AccessDeniedException.ACCOUNT_DISABLED", Configuration),
    (403, "AccessDeniedException", Configuration),
    (404, "ResourceNotFoundException", Configuration),
    (403, "InvalidSignatureException", Configuration),
    (400, "ConflictException.DESTINATION_PHONE_NUMBER_OPTED_OUT", Permanent),
    (
        400,
        "ConflictException.DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE",
        Permanent,
    ),
    (400, "ConflictException.DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION", NotHere),
    (400, "ConflictException.DESTINATION_PHONE_NUMBER_NOT_VERIFIED", NotHere),
    (400, "ConflictException.RESOURCE_NOT_ACTIVE", Configuration),
    (400, "ConflictException.NEVER_HEARD_OF", Unlisted),
    (502, "Nonsense", Ambiguous),
];

const WEBHOOK: &[Refusal] = &[
    (500, "transient", Transient),
    (400, "throttled", Throttled),
    (400, "permanent", Permanent),
    (400, "not_here", NotHere),
    (200 + 200, "configuration", Configuration),
    (500, "ambiguous", Ambiguous),
    (500, "nonsense", Ambiguous),
    (404, "nonsense", Configuration),
    (429, "nonsense", Throttled),
    (503, "nonsense", Transient),
];
