//! Files of the work bucket that somebody has damaged.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::json;
use thaw_core::RestoreId;
use thaw_sim::model::StorageClass;
use thaw_steps::StepError;
use thaw_steps::ledger::chunks::chunk_name;
use thaw_steps::ports::WorkFiles;

use crate::steps::world::{World, ask};

/// Text that is near a chunk file, or anything.
fn damage() -> impl Strategy<Value = Vec<u8>> {
    let entries = r#"[{"key":"a"},{"key":"b"}]"#;
    let cut = any::<Index>().prop_map(move |at| entries.as_bytes()[..at.index(entries.len())].to_vec());
    let byte = (any::<Index>(), any::<u8>()).prop_map(move |(at, byte)| {
        let mut bytes = entries.as_bytes().to_vec();
        bytes[at.index(entries.len())] = byte;
        bytes
    });
    let other = prop_oneof![Just(r#"[{"key":"c"}]"#), Just(r#"[{"key":""}]"#), Just(r#"[{"key":"a","version":"v"}]"#)];
    prop_oneof![
        cut,
        byte,
        other.prop_map(|text| text.as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..64),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// A step that cannot read a chunk says so. It never asks S3 for anything else than what was planned.
    #[test]
    fn a_damaged_chunk_is_an_error_and_nothing_is_asked(bytes in damage()) {
        let world = World::new();
        for key in ["a", "b", "c"] {
            world.put(key, StorageClass::Glacier);
        }
        world.plan("r", ask(&["a", "b"])).unwrap();
        let id = RestoreId::try_from("r".to_owned()).unwrap();
        world.run(world.files.put(&chunk_name(&id, world.now(), 0), bytes)).unwrap();
        prop_assert!(matches!(world.start_restores("r", 0), Err(StepError::Unexpected(_))));
        prop_assert_eq!(world.calls("a").calls + world.calls("b").calls + world.calls("c").calls, 0);
        prop_assert!(matches!(world.check_restores("r"), Err(StepError::Unexpected(_))));
    }

    /// An execution that somebody starts by hand may name any file.
    #[test]
    fn a_request_in_a_file_is_read_like_any_other(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let world = World::new();
        world.run(world.files.put("request.json", bytes)).unwrap();
        let planned = world.plan("r", json!({"request_in": "request.json"}));
        prop_assert!(matches!(planned, Err(StepError::InvalidRequest(_))), "{planned:?}");
        prop_assert!(world.ledger.items().is_empty());
    }
}
