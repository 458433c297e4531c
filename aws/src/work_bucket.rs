//! S3: the work bucket.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use thaw_core::CallError;
use thaw_steps::ports::{LongFiles, Piece, PortError, WorkFiles};

use crate::error::{answer, port_error, unexpected};
use crate::s3::{SkipUnreadable, read_piece};

/// The work bucket.
#[derive(Debug, Clone)]
pub struct WorkBucket {
    client: Client,
    bucket: String,
}

impl WorkBucket {
    pub(crate) fn new(config: Builder, bucket: String) -> Self {
        Self { client: Client::from_conf(config.interceptor(SkipUnreadable).build()), bucket }
    }
}

impl WorkFiles for WorkBucket {
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), PortError> {
        let call = self.client.put_object().bucket(&self.bucket).key(name).content_type("application/json");
        match call.body(ByteStream::from(bytes)).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(port_error(format!("PutObject of s3://{}/{name}", self.bucket), &error)),
        }
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, PortError> {
        let what = || format!("GetObject of s3://{}/{name}", self.bucket);
        match self.client.get_object().bucket(&self.bucket).key(name).send().await {
            Ok(output) => match output.body.collect().await {
                Ok(body) => Ok(Some(body.to_vec())),
                // The answer broke off.
                Err(error) => Err(PortError { trouble: Some(CallError::Unavailable), ..unexpected(what(), error) }),
            },
            Err(SdkError::ServiceError(error)) if error.err().is_no_such_key() => Ok(None),
            Err(error) => Err(port_error(what(), &error)),
        }
    }
}

impl LongFiles for WorkBucket {
    async fn begin(&self, name: &str) -> Result<String, PortError> {
        let what = || format!("CreateMultipartUpload of s3://{}/{name}", self.bucket);
        let call = self.client.create_multipart_upload().bucket(&self.bucket).key(name).content_type("text/csv");
        let output = call.send().await.map_err(|error| port_error(what(), &error))?;
        output.upload_id.ok_or_else(|| unexpected(what(), "the answer has no upload id"))
    }

    async fn add(&self, name: &str, upload: &str, number: u32, part: Vec<u8>) -> Result<String, PortError> {
        let what = || format!("UploadPart {number} of s3://{}/{name}", self.bucket);
        let call = self.client.upload_part().bucket(&self.bucket).key(name).upload_id(upload);
        let call = call.part_number(i32::try_from(number).unwrap_or(i32::MAX)).body(ByteStream::from(part));
        let output = call.send().await.map_err(|error| port_error(what(), &error))?;
        output.e_tag.ok_or_else(|| unexpected(what(), "the answer has no ETag"))
    }

    async fn finish(&self, name: &str, upload: &str, parts: &[String]) -> Result<String, PortError> {
        let what = || format!("CompleteMultipartUpload of s3://{}/{name}", self.bucket);
        let part = |(number, etag): (i32, &String)| CompletedPart::builder().part_number(number).e_tag(etag).build();
        let parts = CompletedMultipartUpload::builder().set_parts(Some((1..).zip(parts).map(part).collect())).build();
        let call = self.client.complete_multipart_upload().bucket(&self.bucket).key(name).upload_id(upload);
        let output = match call.multipart_upload(parts).send().await {
            Ok(output) => output,
            Err(error) => {
                let is_gone = answer(&error).is_some_and(|answer| answer.code == "NoSuchUpload");
                let error = port_error(what(), &error);
                // An earlier call finished it and its answer got lost, or the upload is too old. A new upload writes
                // the same file.
                return Err(if is_gone { PortError { trouble: Some(CallError::Unavailable), ..error } } else { error });
            }
        };
        let etag = output.e_tag.ok_or_else(|| unexpected(what(), "the answer has no ETag"))?;
        // S3 sends the ETag in quotation marks, and expects it without.
        Ok(etag.trim_matches('"').to_owned())
    }

    async fn read(&self, name: &str, from: u64) -> Result<Option<Piece>, PortError> {
        read_piece(&self.client, &self.bucket, name, from, None).await
    }
}
