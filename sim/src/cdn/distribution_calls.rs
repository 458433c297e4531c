//! How distributions and policies are made, read and listed.

use super::cache::Cache;
use super::cache_policy::CachePolicy;
use super::distribution::{
    ContinuousDeploymentPolicy, Distribution, DistributionConfig, invalid, no_such_distribution,
};
use crate::model::{ApiError, Sim, name};
use jiff::Timestamp;

impl Sim {
    /// Makes a distribution, or replaces the one with this id; its cache and invalidations stay. Answers its id.
    pub fn put_distribution(&mut self, config: DistributionConfig, now: Timestamp) -> Result<String, ApiError> {
        let config = self.complete(config)?;
        let id = match &config.id {
            Some(id) => id.clone(),
            None => format!("E{}", name(self.next_hash("distribution"), 13)),
        };
        let made = Distribution {
            id: id.clone(),
            config: DistributionConfig { id: Some(id.clone()), ..config.clone() },
            made: now,
            invalidations: Vec::new(),
            cache: Cache::default(),
        };
        self.distributions.entry(id.clone()).and_modify(|old| old.config = made.config.clone()).or_insert(made);
        Ok(id)
    }

    /// `GetDistribution` and `GetDistributionConfig`; a fault of both is one of `GetDistribution`.
    pub fn get_distribution(&mut self, id: &str) -> Result<&Distribution, ApiError> {
        self.call("GetDistribution", &[id], |sim| sim.distribution(id).map(|_| ()))?;
        self.distribution(id)
    }

    /// Makes a continuous deployment policy, or replaces the one with this id.
    pub fn put_continuous_deployment_policy(&mut self, policy: ContinuousDeploymentPolicy) {
        self.policies.insert(policy.id.clone(), policy);
    }

    /// `GetContinuousDeploymentPolicy`.
    pub fn get_continuous_deployment_policy(&mut self, id: &str) -> Result<ContinuousDeploymentPolicy, ApiError> {
        self.call("GetContinuousDeploymentPolicy", &[id], |sim| {
            let none = || ApiError::new("NoSuchContinuousDeploymentPolicy", 404, "The policy does not exist.");
            sim.policies.get(id).cloned().ok_or_else(none)
        })
    }

    /// `GetCachePolicy`: that of a behaviour of some distribution.
    pub fn get_cache_policy(&mut self, id: &str) -> Result<CachePolicy, ApiError> {
        self.call("GetCachePolicy", &[id], |sim| {
            let configs = sim.distributions.values().map(|distribution| &distribution.config);
            let mut behaviors = configs.flat_map(|config| config.behaviors.iter().chain([&config.default_behavior]));
            let found = behaviors.find_map(|behavior| behavior.cache_policy.as_ref().filter(|policy| policy.id == id));
            found.cloned().ok_or_else(|| ApiError::new("NoSuchCachePolicy", 404, "The cache policy does not exist."))
        })
    }

    /// `GetOriginAccessControl`: that of an origin of some distribution; its id.
    pub fn get_origin_access_control(&mut self, id: &str) -> Result<String, ApiError> {
        self.call("GetOriginAccessControl", &[id], |sim| {
            let mut origins = sim.distributions.values().flat_map(|distribution| &distribution.config.origins);
            let found = origins.any(|origin| origin.origin_access_control.as_deref() == Some(id));
            let none = || {
                ApiError::new("NoSuchOriginAccessControl", 404, "The specified origin access control does not exist.")
            };
            found.then(|| id.to_owned()).ok_or_else(none)
        })
    }

    /// `ListDistributions`, by id.
    pub fn list_distributions(&mut self) -> Result<Vec<&Distribution>, ApiError> {
        self.call("ListDistributions", &[], |_| Ok(()))?;
        Ok(self.distributions.values().collect())
    }

    /// A distribution, without a call being counted.
    pub fn distribution(&self, id: &str) -> Result<&Distribution, ApiError> {
        self.distributions.get(id).ok_or_else(no_such_distribution)
    }

    /// All distributions by id, without a call being counted.
    pub fn distributions(&self) -> impl Iterator<Item = &Distribution> {
        self.distributions.values()
    }

    /// Fills in what the config leaves to us, and refuses what refers to nothing.
    fn complete(&self, mut config: DistributionConfig) -> Result<DistributionConfig, ApiError> {
        let region = &self.settings.region;
        for origin in &mut config.origins {
            if origin.holding_page.is_some() {
                continue;
            }
            if origin.domain_name.is_empty() {
                origin.domain_name = format!("{}.s3.{region}.amazonaws.com", origin.bucket);
            } else if origin.bucket.is_empty() {
                // A bucket name may have dots, so the endpoint is cut off from the right.
                let name = origin.domain_name.split(".s3.").next().unwrap_or_default();
                origin.bucket = name.split(".s3-website").next().unwrap_or_default().to_owned();
            }
        }
        for origin in config.origins.iter_mut().filter(|origin| origin.domain_name.is_empty()) {
            origin.domain_name = format!("{}.example", origin.id);
        }
        let first = config.origins.first().map(|origin| origin.id.clone());
        let first = first.ok_or_else(|| invalid("a distribution needs an origin"))?;
        for behavior in config.behaviors.iter_mut().chain([&mut config.default_behavior]) {
            if behavior.target_origin_id.is_empty() {
                behavior.target_origin_id.clone_from(&first);
            }
        }
        config.check()?;
        Ok(config)
    }
}
