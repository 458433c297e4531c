//! The lists and the reports of jobs.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use thaw_core::{FailedTask, JobGroup, ObjectId, ReportReader, RequestedObject, RestoreAnswer, failed_reports};

use crate::source_laws;

fn object() -> impl Strategy<Value = ObjectId> {
    let key = prop_oneof![6 => any::<String>(), 3 => "[ +%,\"a/é\n]{1,8}"]
        .prop_filter("S3 has no such key", |key| (1..=1_024).contains(&key.len()));
    (key, option::of("[A-Za-z0-9._]{1,32}")).prop_map(|(key, version)| ObjectId {
        bucket: "archive".to_owned(),
        key,
        version,
    })
}

fn group(object: &ObjectId) -> JobGroup {
    JobGroup { copies: true, versions: object.version.is_some() }
}

fn read(report: &[u8], piece: usize) -> Option<Vec<FailedTask>> {
    let (mut reader, mut tasks) = (ReportReader::default(), Vec::new());
    for mut bytes in report.chunks(piece) {
        while let Some(task) = reader.next(&mut bytes).ok()? {
            tasks.push(task);
        }
    }
    tasks.extend(reader.finish().ok()?);
    Some(tasks)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// A list is a manifest in S3's format, so thaw's own reader of manifests reads it.
    #[test]
    fn a_line_of_a_list_means_its_object(object in object()) {
        let line = group(&object).line(&object);
        prop_assert_eq!(line.matches('\n').count(), 1);
        let expected = RequestedObject { key: object.key, version_id: object.version };
        prop_assert_eq!(source_laws::manifest(line.as_bytes(), 7), (vec![expected], None));
    }

    #[test]
    fn a_report_means_the_objects_of_its_list(objects in vec((object(), any::<String>()), 0..6), piece in 1_usize..40) {
        let report: String = objects
            .iter()
            .map(|(object, says)| {
                let line = group(object).line(object);
                let line = line.trim_end();
                let line = if object.version.is_some() { line.to_owned() } else { format!("{line},") };
                format!("{line},failed,RestoreAlreadyInProgress,409,\"{}\"\n", says.replace('"', "\"\""))
            })
            .collect();
        let expected: Vec<_> = objects
            .into_iter()
            .map(|(object, _)| FailedTask { object, answer: Ok(RestoreAnswer::InProgress) })
            .collect();
        prop_assert_eq!(read(report.as_bytes(), piece), Some(expected));
    }

    #[test]
    fn any_bytes_are_refused_or_read_as_a_report_independently_of_their_pieces(
        report in prop_oneof![vec(any::<u8>(), 0..200), "[a,\"\n%0-9+]{0,60}".prop_map(String::into_bytes)],
        piece in 1_usize..40,
    ) {
        prop_assert_eq!(read(&report, piece), read(&report, report.len().max(1)));
        if let Ok(files) = failed_reports(&report, "work", "restores/") {
            prop_assert!(files.iter().all(|file| file.starts_with("restores/")));
        }
    }
}
