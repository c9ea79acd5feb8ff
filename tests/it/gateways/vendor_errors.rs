//! Answers of each vendor that are refusals. The class that each has, and what is done about it,
//! stands in `snapshots/errors_of_*.snap`.

use crate::support::vendor::Vendor;

/// Status and code.
type Refusal = (u16, &'static str);

/// CCP's status codes, which come with 200.
pub const CCP: &[&str] = &[
    "160000", "160007", "160050", "111050", "160038", "160022", "111111", "160042", "160034",
    "160073", "160062", "113302", "160051", "160031", "160032", "111109", "111142", "111199",
    "112300", "172001", "160054", "999999",
];

/// Of a vendor, with at least one of each class.
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
    (200, "isp.SYSTEM_ERROR"),
    (200, "isv.NEVER_HEARD_OF"),
    (500, "NeverHeardOf"),
    (500, "InternalError"),
    (503, "ServiceUnavailable"),
    (200, "isv.BUSINESS_LIMIT_CONTROL"),
    (400, "Throttling.User"),
    (200, "isv.MOBILE_NUMBER_ILLEGAL"),
    (200, "isv.BLACK_KEY_CONTROL_LIMIT"),
    (200, "isv.SMS_CONTENT_ILLEGAL"),
    (200, "isv.SMS_TEST_NUMBER_LIMIT"),
    (200, "isv.SMS_TEMPLATE_ILLEGAL"),
    (200, "isv.SMS_SIGNATURE_ILLEGAL"),
    (200, "isv.AMOUNT_NOT_ENOUGH"),
    (200, "isv.OUT_OF_SERVICE"),
    (200, "isv.DAY_LIMIT_CONTROL"),
    (200, "isv.MONTH_LIMIT_CONTROL"),
    (200, "isv.DOMESTIC_NUMBER_NOT_SUPPORTED"),
    (200, "isv.EXTEND_CODE_ERROR"),
    (200, "isv.SIGN_STATE_ILLEGAL"),
    (400, "InvalidVersion"),
    (400, "MissingSignName"),
    (400, "InvalidSecurityToken.Expired"),
    (200, "isp.RAM_PERMISSION_DENY"),
    (400, "SignatureDoesNotMatch"),
    (500, "\u{0}not a code"),
];

const TENCENT: &[Refusal] = &[
    (200, "InternalError.OtherError"),
    (200, "FailedOperation.NeverHeardOf"),
    (200, "InternalError.NeverHeardOf"),
    (200, "InternalError.Timeout"),
    (200, "InternalError.SendAndRecvFail"),
    (200, "InternalError.ParseBackendResponseFail"),
    (200, "LimitExceeded.PhoneNumberOneHourLimit"),
    (200, "LimitExceeded.PhoneNumberThirtySecondLimit"),
    (200, "LimitExceeded.DeliveryFrequencyLimit"),
    (200, "LimitExceeded.GlobalSmsSendingRateLimit"),
    (200, "RequestLimitExceeded.UinLimitExceeded"),
    (200, "InvalidParameterValue.IncorrectPhoneNumber"),
    (200, "FailedOperation.PhoneNumberInBlacklist"),
    (200, "FailedOperation.PhoneNumberParseFail"),
    (200, "LimitExceeded.AppCountryOrRegionInBlacklist"),
    (200, "UnsupportedOperation.UnsupportedRegion"),
    (200, "UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber"),
    (200, "LimitExceeded.AppGlobalDailyLimit"),
    (200, "LimitExceeded.AppMainlandChinaDailyLimit"),
    (200, "LimitExceeded.AppCountryOrRegionDailyLimit"),
    (200, "FailedOperation.FailResolvePacket"),
    (200, "InternalError.RestApiInterfaceNotExist"),
    (200, "UnsupportedRegion"),
    (200, "IpNotInWhitelist"),
    (200, "NoSuchVersion"),
    (200, "FailedOperation.TemplateIncorrectOrUnapproved"),
    (200, "FailedOperation.SignatureIncorrectOrUnapproved"),
    (200, "FailedOperation.InsufficientBalanceInSmsPackage"),
    (200, "InternalError.RequestTimeException"),
    (200, "\u{0}not a code"),
];

const TWILIO: &[Refusal] = &[
    (503, "20503"),
    (400, "21702"),
    (400, "99999"),
    (500, "99999"),
    (429, "20429"),
    (400, "21611"),
    (400, "21211"),
    (400, "21610"),
    (400, "21614"),
    (400, "21408"),
    (400, "21608"),
    (400, "21612"),
    (400, "21703"),
    (401, "20003"),
    (400, "21606"),
    (500, "20500"),
];

const AWS: &[Refusal] = &[
    (400, "ThrottlingException"),
    (500, "InternalServerException"),
    (400, "ValidationException.FIELD_VALIDATION_FAILED.DestinationPhoneNumber"),
    (400, "ValidationException.INVALID_PARAMETER.OriginationIdentity"),
    (400, "ValidationException.INVALID_IDENTITY_FOR_DESTINATION_COUNTRY"),
    (400, "ValidationException.MISSING_PARAMETER"),
    (400, "ValidationException"),
    (400, "ServiceQuotaExceededException.MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT"),
    (400, "ServiceQuotaExceededException"),
    (400, "AccessDeniedException.ACCOUNT_DISABLED"),
    (403, "AccessDeniedException"),
    (404, "ResourceNotFoundException"),
    (403, "InvalidSignatureException"),
    (400, "ConflictException.DESTINATION_PHONE_NUMBER_OPTED_OUT"),
    (400, "ConflictException.DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE"),
    (400, "ConflictException.DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION"),
    (400, "ConflictException.DESTINATION_PHONE_NUMBER_NOT_VERIFIED"),
    (400, "ConflictException.RESOURCE_NOT_ACTIVE"),
    (400, "ConflictException.NEVER_HEARD_OF"),
    (502, "Nonsense"),
];

const WEBHOOK: &[Refusal] = &[
    (500, "transient"),
    (400, "throttled"),
    (400, "permanent"),
    (400, "not_here"),
    (200 + 200, "configuration"),
    (500, "ambiguous"),
    (500, "nonsense"),
    (404, "nonsense"),
    (429, "nonsense"),
    (503, "nonsense"),
];
