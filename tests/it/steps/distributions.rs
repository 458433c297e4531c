//! Distributions that viewers are sent to, and those that nobody is sent to.

use serde_json::json;
use thaw_core::{FailureCode, PublishedReason, State, Status};
use thaw_sim::cdn::{ContinuousDeploymentPolicy, DistributionConfig, Traffic};
use thaw_sim::model::{FaultRule, StorageClass};

use super::world::{BUCKET, DISTRIBUTION, World, ask};

const STAGING: &str = "E2STAGING";
const ALIAS: &str = "www.example.com";

/// What a viewer sends who is sent to the staging distribution.
const SENT: &[(&str, &str)] = &[("aws-cf-cd-staging", "1")];

/// A world in which the stack names the primary distribution alone, a policy sends some viewers to its staging distribution,
/// and both have cached an error for the key `a`.
fn with_staging() -> World {
    let mut world = World::new();
    world.settings.distribution_ids = vec![DISTRIBUTION.to_owned()];
    world.aws.with(|sim, now| {
        let config = sim.distribution(DISTRIBUTION).unwrap().config().clone();
        let primary = DistributionConfig {
            aliases: vec![ALIAS.to_owned()],
            continuous_deployment_policy_id: Some("p".to_owned()),
            ..config.clone()
        };
        sim.put_distribution(primary, now).unwrap();
        let staging = DistributionConfig { id: Some(STAGING.to_owned()), staging: true, ..config };
        sim.put_distribution(staging, now).unwrap();
    });
    set_policy(&world, true);
    world.put("a", StorageClass::Glacier);
    assert_eq!([view(&world, SENT), view(&world, &[])], [403, 403]);
    world
}

fn set_policy(world: &World, enabled: bool) {
    world.aws.with(|sim, _| {
        sim.put_continuous_deployment_policy(ContinuousDeploymentPolicy {
            id: "p".to_owned(),
            enabled,
            staging_distributions: vec!["e2staging.cloudfront.net".to_owned()],
            traffic: Traffic::default(),
        });
    });
}

/// The status that a viewer gets who asks for `/a` under the alias, with these headers.
fn view(world: &World, headers: &[(&str, &str)]) -> u16 {
    world.aws.with(|sim, now| {
        let asked = sim.distribution_at(ALIAS).unwrap().id().to_owned();
        let answers = sim.routed(&asked, headers);
        sim.serve(&answers, "/a", now).unwrap().status
    })
}

fn invalidated(world: &World, id: &str) -> usize {
    world.aws.with(|sim, _| sim.distribution(id).unwrap().invalidations().len())
}

fn warnings(world: &World) -> Vec<String> {
    let request = json!({"bucket": BUCKET, "keys": ["a"], "dry_run": true});
    world.plan("only-planned", request).unwrap().warnings
}

fn change(world: &World, id: &str, change: impl FnOnce(&mut DistributionConfig)) {
    world.aws.with(|sim, now| {
        let mut config = sim.distribution(id).unwrap().config().clone();
        change(&mut config);
        sim.put_distribution(config, now).unwrap();
    });
}

#[test]
fn who_is_sent_to_a_staging_distribution_sees_what_is_published_also_where_only_its_primary_is_named() {
    let world = with_staging();
    assert_eq!(warnings(&world), [""; 0]);
    let (report, _) = world.restore("r", ask(&["a"]));
    assert_eq!(report.status, Status::Succeeded);
    assert_eq!([invalidated(&world, DISTRIBUTION), invalidated(&world, STAGING)], [1, 1]);
    assert_eq!([view(&world, SENT), view(&world, &[])], [200, 200]);
}

#[test]
fn a_staging_distribution_is_not_paid_for_while_its_policy_is_disabled() {
    let world = with_staging();
    set_policy(&world, false);
    world.restore("r", ask(&["a"]));
    assert_eq!([invalidated(&world, DISTRIBUTION), invalidated(&world, STAGING)], [1, 0]);
    assert_eq!(view(&world, SENT), 200, "nobody is sent there");
    // The gap that is written down: what is enabled later still has its error.
    set_policy(&world, true);
    assert_eq!(view(&world, SENT), 403);
}

#[test]
fn where_staging_distributions_must_be_named_the_plan_says_so_and_the_primary_is_published() {
    let world = with_staging();
    world.aws.with(|sim, _| sim.set_faults(vec![FaultRule::new("ListDistributions", "AccessDenied")]));
    let said = warnings(&world);
    assert!(said.len() == 1 && said[0].contains("e2staging.cloudfront.net gets viewers"), "{said:?}");
    assert!(said[0].contains("set the parameter StagingDistributions to found"), "{said:?}");
    let (report, _) = world.restore("r", ask(&["a"]));
    assert_eq!(report.status, Status::Succeeded);
    assert_eq!([view(&world, SENT), view(&world, &[])], [403, 200]);
}

#[test]
fn a_denial_at_the_staging_distribution_or_its_policy_stops_no_restore() {
    for (operation, of) in [("CreateInvalidation", STAGING), ("GetContinuousDeploymentPolicy", "p")] {
        let world = with_staging();
        let rule = FaultRule { key: Some(of.to_owned()), ..FaultRule::new(operation, "AccessDenied") };
        world.aws.with(|sim, _| sim.set_faults(vec![rule]));
        let (report, _) = world.restore("r", ask(&["a"]));
        assert_eq!(report.status, Status::Succeeded, "{operation}");
        assert_eq!([invalidated(&world, DISTRIBUTION), invalidated(&world, STAGING)], [1, 0], "{operation}");
        assert_eq!(view(&world, &[]), 200);
    }
}

#[test]
fn what_only_tenants_get_is_never_said_to_be_published() {
    for publish in [json!({}), json!({"only_if_stale": true})] {
        let world = World::new();
        change(&world, DISTRIBUTION, |config| config.tenant_only = true);
        world.put("a", StorageClass::Glacier);
        let said = warnings(&world);
        assert!(said.iter().any(|said| said.contains("fail as ShownByTenantsOnly")), "{said:?}");
        let (report, _) = world.restore("r", json!({"bucket": BUCKET, "keys": ["a"], "publish": publish}));
        assert_eq!((report.status, report.counts.published), (Status::Failed, 0), "{publish}");
        assert!(report.says.contains("to its tenants"), "{}", report.says);
        let State::Failed { code, message, .. } = world.row("a", "r").state else { panic!("{publish}") };
        assert_eq!(code, FailureCode::ShownByTenantsOnly);
        assert!(message.contains("E1THAW") && message.contains("create-invalidation-for-distribution-tenant"));
        assert!(world.invalidated().is_empty());
    }
}

#[test]
fn what_another_distribution_shows_beside_a_multi_tenant_one_is_published_with_a_warning() {
    let world = World::new();
    world.aws.with(|sim, now| {
        let config = sim.distribution(DISTRIBUTION).unwrap().config().clone();
        let tenants = DistributionConfig { id: Some("E3TENANTS".to_owned()), tenant_only: true, ..config };
        sim.put_distribution(tenants, now).unwrap();
    });
    world.put("a", StorageClass::Glacier);
    let said = warnings(&world);
    assert!(said.len() == 1 && said[0].starts_with("E3TENANTS is a multi-tenant distribution"), "{said:?}");
    let (report, _) = world.restore("r", ask(&["a"]));
    assert_eq!((report.status, report.counts.published), (Status::Succeeded, 1));
    assert_eq!(invalidated(&world, "E3TENANTS"), 0);
}

#[test]
fn a_disabled_distribution_is_named_and_what_it_would_show_needs_no_path() {
    let world = World::new();
    change(&world, DISTRIBUTION, |config| config.disabled = true);
    world.put("a", StorageClass::Glacier);
    let said = warnings(&world);
    assert!(said[0].starts_with("the distribution E1THAW is disabled"), "{said:?}");
    assert!(said[1].starts_with("no other distribution has the bucket"), "{said:?}");
    let (report, _) = world.restore("r", ask(&["a"]));
    assert_eq!(report.status, Status::Succeeded);
    assert!(matches!(world.row("a", "r").state, State::Published { how: PublishedReason::NoPath, .. }));
    assert!(world.invalidated().is_empty());
}
