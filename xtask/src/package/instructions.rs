//! How to deploy a package with the AWS command line alone.

use std::env::consts::{ARCH, OS};

use crate::release::Release;

/// The commands, for the package's folder.
pub fn commands(release: &Release) -> String {
    format!(
        r"  CODE_BUCKET=my-code-bucket                # a bucket of yours in the stack's Region
  ARCHIVE_BUCKETS=my-archive                # the buckets to restore from, with commas
  DISTRIBUTION_IDS=E2QWRUHEXAMPLE           # the CloudFront distributions before them, with commas

  aws s3 cp . s3://$CODE_BUCKET/{prefix} --recursive --exclude '*' --include 'thaw-*.zip' --include thaw.asl.json
  aws cloudformation deploy --stack-name thaw --template-file template.yaml --s3-bucket $CODE_BUCKET \
    --capabilities CAPABILITY_IAM --parameter-overrides CodeBucket=$CODE_BUCKET \
    ArchiveBuckets=$ARCHIVE_BUCKETS DistributionIds=$DISTRIBUTION_IDS
  aws cloudformation update-termination-protection --stack-name thaw --enable-termination-protection
  aws cloudformation describe-stacks --stack-name thaw --query 'Stacks[0].Outputs'
",
        prefix = release.prefix()
    )
}

/// The package's own description.
pub fn readme(release: &Release) -> String {
    format!(
        r"thaw {id}

Restores archived S3 objects and shows them on CloudFront again.

  template.yaml                  the CloudFormation template. Its parameters are described at its top.
  thaw-arm64.zip                 the code of all functions for arm64, and for x86_64
  thaw-x86_64.zip
  thaw.asl.json                  the state machine's definition
  terraform/                     a module that deploys this folder with Terraform or OpenTofu
  thaw                           the command, for {OS} on {ARCH}: `./thaw --help`
  sbom.cdx.json                  what is compiled into the programs (CycloneDX 1.6)
  LICENSE.txt                    thaw's license
  THIRD-PARTY-LICENSES.txt       the licenses of what is compiled into the programs
  SHA256SUMS                     `sha256sum --check SHA256SUMS` compares the files with it

To deploy, you need the AWS command line with credentials that may create roles, and nothing else:

{commands}
The functions run on arm64. For x86_64, add `Architecture=x86_64` to the parameters. Keep the files in the code bucket until a
later release is deployed: CloudFormation reads them again when it undoes an update that fails.
",
        id = release.id,
        commands = commands(release),
    )
}
