"""Encrypts codes as Amazon Cognito does, with AWS's own Encryption SDK for Python.

    python tests/encrypted_codes.py raw KEY CODE...
    python tests/encrypted_codes.py kms URL CODE...

KEY is 32 bytes in hexadecimal, for a raw AES keyring. URL is a server that stands in for KMS, where
a new key is made. Prints {"key": ARN, "messages": [[SUITE, BASE64], ...]}, the codes in their
order, each in every suite.
"""

import base64
import json
import sys

import boto3
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import (
    AesWrappingAlg,
    CreateAwsKmsKeyringInput,
    CreateRawAesKeyringInput,
)
from aws_encryption_sdk import CommitmentPolicy, EncryptionSDKClient
from aws_encryption_sdk.identifiers import AlgorithmSuite

# With and without key commitment, with and without a signature: what Cognito takes is not told.
SUITES = {
    "AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384": CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT,
    "AES_256_GCM_HKDF_SHA512_COMMIT_KEY": CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT,
    "AES_256_GCM_IV12_TAG16_HKDF_SHA384_ECDSA_P384": CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT,
    "AES_256_GCM_IV12_TAG16_HKDF_SHA256": CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT,
}


def raw_keyring(providers, key):
    return providers.create_raw_aes_keyring(
        CreateRawAesKeyringInput(
            key_namespace="sms-verify",
            key_name="test",
            wrapping_key=bytes.fromhex(key),
            wrapping_alg=AesWrappingAlg.ALG_AES256_GCM_IV12_TAG16,
        )
    )


def kms_keyring(providers, url):
    """The ARN of a new key, and its keyring."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    kms = boto3.client("kms", endpoint_url=url, region_name="us-east-1", **keys)
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    keyring = CreateAwsKmsKeyringInput(kms_key_id=arn, kms_client=kms)
    return arn, providers.create_aws_kms_keyring(keyring)


def encrypted(keyring, code, suite, policy):
    message, _ = EncryptionSDKClient(commitment_policy=policy).encrypt(
        source=code.encode(),
        keyring=keyring,
        algorithm=AlgorithmSuite[suite],
        encryption_context={"userpool-id": "us-east-1_Ab3dEf6hI"},
    )
    return base64.b64encode(message).decode()


def main():
    kind, where, *codes = sys.argv[1:]
    providers = AwsCryptographicMaterialProviders(MaterialProvidersConfig())
    arn, keyring = None, None
    if kind == "raw":
        keyring = raw_keyring(providers, where)
    else:
        arn, keyring = kms_keyring(providers, where)
    messages = [
        (suite, encrypted(keyring, code, suite, policy))
        for code in codes
        for suite, policy in SUITES.items()
    ]
    json.dump({"key": arn, "messages": messages}, sys.stdout)


main()
