//! The objects of the demo: one of every kind, and what should become of it.

use anyhow::Result;

use crate::stack::{S3, Stack};

/// One object of the demo.
pub struct DemoObject {
    pub key: &'static str,
    /// Where it is stored, for people.
    pub stored_in: &'static str,
    pub body: &'static str,
    /// What the edge answers before and after the restore.
    pub before: u16,
    pub after: u16,
    pub expected_state: ExpectedState,
    storage: Storage,
}

/// What a restore should make of an object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ExpectedState {
    /// Fetched and shown.
    Published,
    /// Never archived: left alone.
    Available,
    /// Not there at all.
    Missing,
}

impl ExpectedState {
    /// The state of the HTTP API.
    pub fn state(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Available => "available",
            Self::Missing => "failed",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Storage {
    Class(&'static str),
    /// The access tier of Intelligent-Tiering. On AWS an object gets there by not being read for months.
    AccessTier(&'static str),
    Nowhere,
}

/// The objects that this S3 can play.
pub fn all(s3: S3) -> Vec<DemoObject> {
    let archived = |key, stored_in, body, storage| DemoObject {
        key,
        stored_in,
        body,
        before: 403,
        after: 200,
        expected_state: ExpectedState::Published,
        storage,
    };
    let readable = |key, stored_in, body, storage| DemoObject {
        key,
        stored_in,
        body,
        before: 200,
        after: 200,
        expected_state: ExpectedState::Available,
        storage,
    };
    let mut demo_objects = vec![
        archived("photos/2019/cat.jpg", "Glacier Flexible Retrieval", "a cat", Storage::Class("GLACIER")),
        archived("films/1998/wedding.mp4", "Glacier Deep Archive", "a wedding", Storage::Class("DEEP_ARCHIVE")),
    ];
    // MiniStack takes the configuration of Intelligent-Tiering but archives nothing.
    if s3 == S3::Sim {
        demo_objects.push(archived(
            "maps/1953.tif",
            "Intelligent-Tiering, archive",
            "a map",
            Storage::AccessTier("ARCHIVE_ACCESS"),
        ));
        demo_objects.push(archived(
            "scans/1911.tif",
            "Intelligent-Tiering, deep archive",
            "a scan",
            Storage::AccessTier("DEEP_ARCHIVE_ACCESS"),
        ));
    }
    demo_objects.push(readable(
        "books/index.html",
        "Glacier Instant Retrieval",
        "a book",
        Storage::Class("GLACIER_IR"),
    ));
    demo_objects.push(readable("news/today.html", "Standard", "the news", Storage::Class("STANDARD")));
    // MiniStack's S3 says 403 to an edge that may not list the bucket, as AWS does; the simulator's always tells.
    let missing = if s3 == S3::Sim { 404 } else { 403 };
    demo_objects.push(DemoObject {
        key: "photos/2019/dog.jpg",
        stored_in: "nowhere: a typing error",
        body: "",
        before: missing,
        after: missing,
        expected_state: ExpectedState::Missing,
        storage: Storage::Nowhere,
    });
    demo_objects
}

/// Uploads the objects.
pub fn put(stack: &Stack, demo_objects: &[DemoObject]) -> Result<()> {
    let s3 = stack.s3();
    for demo_object in demo_objects {
        let mut headers = vec![("content-type", "text/plain")];
        match demo_object.storage {
            Storage::Class(class) => {
                headers.push(("x-amz-storage-class", class));
                s3.put_object(&stack.archive_bucket, demo_object.key, &headers, demo_object.body.as_bytes())?;
            }
            Storage::AccessTier(tier) => {
                headers.push(("x-amz-storage-class", "INTELLIGENT_TIERING"));
                s3.put_object(&stack.archive_bucket, demo_object.key, &headers, demo_object.body.as_bytes())?;
                stack.control().move_to_access_tier(&stack.archive_bucket, demo_object.key, tier)?;
            }
            Storage::Nowhere => {}
        }
    }
    Ok(())
}
