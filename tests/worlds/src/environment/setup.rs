//! Sets up the simulated S3 and CloudFront of a world.

use jiff::Timestamp;
use thaw_sim::Sim;
use thaw_sim::cdn::{
    Behavior, ContinuousDeploymentPolicy, CustomErrorResponse, DistributionConfig, Function, HoldingPage, Origin,
    OriginGroup, Rewrite, Traffic,
};
use thaw_sim::model::{AccessTier, FaultRule, PutRequest, RetrievalRule, Settings, SettingsChange, StorageClass};

use crate::world::{Behaviour, Distribution, FunctionEvent, PRIMARY, STAGING, StorageTier, World};

/// The archive bucket.
pub(crate) const BUCKET: &str = "archive";
/// The bucket of thaw's own files.
pub(crate) const WORK_BUCKET: &str = "work";

/// A glob that means this key only. Without a `?` a fault rule would apply to every key that contains the key, and so also to a
/// key that is not there and that a rewritten path might show.
fn as_glob(key: &str) -> String {
    if key.contains('?') {
        return key.to_owned();
    }
    let rest: String = key.chars().skip(1).collect();
    format!("?{rest}")
}

/// The continuous deployment policy that sends viewers to the staging distribution.
const POLICY: &str = "policy";

/// CloudFront's quotas. They are so small that other users can use them up with few paths.
pub(crate) const MAX_PATHS_IN_PROGRESS: usize = 30;
pub(crate) const MAX_WILDCARDS_IN_PROGRESS: usize = 2;
/// More paths than any world's objects have.
pub(crate) const PATHS_PER_SECOND: u32 = 60;

/// The simulated AWS of a world at its start.
pub(super) fn simulated_aws(world: &World, start: Timestamp) -> Sim {
    let mut sim = Sim::new(Settings { seed: world.seed, ..Settings::default() });
    sim.change_settings(&settings(world));
    sim.create_bucket(BUCKET, world.versioned);
    sim.create_bucket(WORK_BUCKET, false);
    sim.set_faults(fault_rules(world));
    for distribution in world.distributions() {
        let config = distribution_config(world, &distribution);
        sim.put_distribution(config, start).unwrap_or_else(|error| panic!("{error:?}"));
    }
    if let Some(staging) = &world.staging {
        let domain = sim.distribution(STAGING).map(thaw_sim::cdn::Distribution::domain_name);
        sim.put_continuous_deployment_policy(ContinuousDeploymentPolicy {
            id: POLICY.to_owned(),
            enabled: staging.is_policy_enabled,
            staging_distributions: domain.into_iter().collect(),
            traffic: Traffic::Percent(staging.viewer_percent),
        });
    }
    let rules = world.objects.iter().filter_map(|object| {
        let key = world.full_key(object.id)?;
        Some(RetrievalRule { key, seconds: object.retrieval_seconds? })
    });
    sim.set_retrieval_rules(rules.collect());
    for object in &world.objects {
        let Some(key) = world.full_key(object.id) else { continue };
        sim.put_object(put_request(&key, object.storage_tier), start).unwrap_or_else(|error| panic!("{error:?}"));
    }
    sim
}

fn settings(world: &World) -> SettingsChange {
    SettingsChange {
        regime: Some(world.quota_regime),
        paths_in_progress: Some(MAX_PATHS_IN_PROGRESS),
        wildcards_in_progress: Some(MAX_WILDCARDS_IN_PROGRESS),
        paths_per_second: Some(PATHS_PER_SECOND),
        quota_answer: Some(world.quota_answer),
        job_prepare_seconds: Some(world.batch_operations.prepare_seconds),
        job_task_millis: Some(world.batch_operations.task_millis),
        keys_per_page: Some(world.keys_per_page),
        ..Default::default()
    }
}

/// The random faults of the simulated services, and the objects whose HeadObject always fails.
fn fault_rules(world: &World) -> Vec<FaultRule> {
    let random = |operation: &str, code: &str, percent: u32| {
        (percent > 0).then(|| FaultRule::new(operation, code).sometimes(f64::from(percent) / 100.0))
    };
    let random_faults = [
        random("JobTask", "JobFailed", world.batch_operations.job_failure_percent),
        random("JobTask", "SlowDown", world.batch_operations.busy_percent),
        random("CreateJob", "BadRequestException", world.batch_operations.refused_percent),
        random("ListObjectsV2", "EmptyPage", world.empty_page_percent),
        random("ListObjectVersions", "EmptyPage", world.empty_page_percent),
    ];
    let failing = world.objects.iter().filter(|object| object.head_fails);
    let failing = failing.filter_map(|object| world.full_key(object.id));
    let failing = failing.map(|key| FaultRule::new("HeadObject", "BadRequest").on(&as_glob(&key)));
    random_faults.into_iter().flatten().chain(failing).collect()
}

fn distribution_config(world: &World, distribution: &Distribution) -> DistributionConfig {
    const BUCKET_ORIGIN: &str = "s3";
    const WEB_SERVER: &str = "web";
    const BUCKET_OR_PAGE: &str = "s3-or-page";
    const MONTH: u32 = 86_400 * 30;
    let cached_error =
        CustomErrorResponse { error_code: 403, error_caching_min_ttl: Some(MONTH), ..CustomErrorResponse::default() };
    let page = HoldingPage { cache_control: Some(format!("max-age={MONTH}")), ..HoldingPage::default() };
    let bucket_target = if distribution.has_holding_page { BUCKET_OR_PAGE } else { BUCKET_ORIGIN };
    let behaviours = distribution.behaviours.iter().map(|behaviour| Behavior {
        path_pattern: behaviour.pattern.to_owned(),
        target_origin_id: if behaviour.shows_bucket { bucket_target } else { WEB_SERVER }.to_owned(),
        query_string: behaviour.caches_by_query_string,
        viewer_request: function(behaviour, FunctionEvent::ViewerRequest),
        origin_request: function(behaviour, FunctionEvent::OriginRequest),
        ..Behavior::default()
    });
    let mut behaviors: Vec<Behavior> = behaviours.collect();
    let default_behavior = behaviors.pop().unwrap_or_default();
    DistributionConfig {
        id: Some(distribution.id.to_owned()),
        default_behavior,
        behaviors,
        origins: vec![
            Origin {
                id: BUCKET_ORIGIN.to_owned(),
                bucket: BUCKET.to_owned(),
                origin_path: distribution.origin_path.to_owned(),
                ..Origin::default()
            },
            Origin {
                id: WEB_SERVER.to_owned(),
                domain_name: "www.example.com".to_owned(),
                holding_page: Some(page),
                ..Origin::default()
            },
        ],
        origin_groups: vec![OriginGroup {
            id: BUCKET_OR_PAGE.to_owned(),
            failover_statuses: vec![403],
            members: vec![BUCKET_ORIGIN.to_owned(), WEB_SERVER.to_owned()],
        }],
        directory_index: Some(world.directory_index.to_owned()).filter(|index| !index.is_empty()),
        default_root_object: "index.html".to_owned(),
        custom_error_responses: if distribution.caches_errors { vec![cached_error] } else { Vec::new() },
        staging: distribution.id == STAGING,
        continuous_deployment_policy_id: world
            .staging
            .as_ref()
            .filter(|_| distribution.id == PRIMARY)
            .map(|_| POLICY.to_owned()),
        ..DistributionConfig::default()
    }
}

/// The function of a behaviour at an event.
fn function(behaviour: &Behaviour, event: FunctionEvent) -> Option<Function> {
    let function = behaviour.function.filter(|function| function.event == event)?;
    let rewrite = Rewrite { from: function.rewrite.from.to_owned(), to: function.rewrite.to.to_owned() };
    Some(Function { name: "rewrite".to_owned(), rewrites: vec![rewrite] })
}

/// The request that puts an object into a storage tier. The object's body is its key.
pub(crate) fn put_request(key: &str, storage_tier: StorageTier) -> PutRequest {
    let (class, tier) = s3_storage(storage_tier);
    PutRequest { tier, ..PutRequest::new(BUCKET, key, class, key.to_owned()) }
}

/// S3's storage class and access tier.
pub(crate) fn s3_storage(storage_tier: StorageTier) -> (StorageClass, AccessTier) {
    match storage_tier {
        StorageTier::Standard => (StorageClass::Standard, AccessTier::Frequent),
        StorageTier::GlacierInstantRetrieval => (StorageClass::GlacierIr, AccessTier::Frequent),
        StorageTier::GlacierFlexibleRetrieval => (StorageClass::Glacier, AccessTier::Frequent),
        StorageTier::GlacierDeepArchive => (StorageClass::DeepArchive, AccessTier::Frequent),
        StorageTier::IntelligentTiering => (StorageClass::IntelligentTiering, AccessTier::Frequent),
        StorageTier::IntelligentTieringArchive => (StorageClass::IntelligentTiering, AccessTier::ArchiveAccess),
        StorageTier::IntelligentTieringDeepArchive => (StorageClass::IntelligentTiering, AccessTier::DeepArchiveAccess),
    }
}
