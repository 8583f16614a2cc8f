//! Workflow templates: what makes one valid. Reading the TOML is `wire`'s.

use std::collections::BTreeSet;

use serde::Deserialize;

/// The only version there is.
pub const VERSION: i64 = 1;

/// A workflow template as written in `.work/templates/NAME.toml`.
#[derive(Debug, Clone, Deserialize)]
pub struct Template {
    pub template: String,
    #[serde(default)]
    pub description: String,
    pub version: i64,
    #[serde(default)]
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Step {
    pub id: String,
    pub title: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub needs: Vec<String>,
}

impl Template {
    /// What is wrong with it, with the id of the step where it shows; empty where it is good.
    pub fn faults(&self) -> Vec<(Option<String>, String)> {
        let mut faults = Vec::new();
        if self.version != VERSION {
            faults.push((None, format!("version {} is not known, this program knows version {VERSION}", self.version)));
        }
        if self.steps.is_empty() {
            faults.push((None, "a template needs at least one [[steps]]".to_owned()));
        }
        let mut ids = BTreeSet::new();
        for s in &self.steps {
            if !ids.insert(s.id.as_str()) {
                faults.push((Some(s.id.clone()), format!("the step id '{}' is used twice", s.id)));
            }
        }
        for s in &self.steps {
            for n in s.needs.iter().filter(|n| !ids.contains(n.as_str())) {
                faults.push((Some(s.id.clone()), format!("step '{}' needs '{n}', which is no step", s.id)));
            }
        }
        if let Some(cycle) = self.cycle() {
            faults.push((Some(cycle.clone()), format!("step '{cycle}' needs itself through others")));
        }
        faults
    }

    /// A step on a cycle of needs, the first in the file.
    fn cycle(&self) -> Option<String> {
        let needs = self.steps.iter().flat_map(|s| s.needs.iter().map(|n| (s.id.as_str(), n.as_str())));
        let tied = super::graph::tied(needs);
        self.steps.iter().map(|s| s.id.as_str()).find(|id| tied.contains(id)).map(str::to_owned)
    }
}
