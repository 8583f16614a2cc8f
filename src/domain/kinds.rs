//! The types of events that have a meaning here. Others are kept and carried.

/// Every type of FORMATS, section 4.
pub const KNOWN: &[&str] = &[
    "work_order.created",
    "work_order.updated",
    "work_order.status_changed",
    "work_order.dependency_added",
    "work_order.dependency_removed",
    "work_order.labels_changed",
    "work_order.commented",
    "work_order.assigned",
    "work_order.closed",
    "mail.sent",
    "mail.delivered",
    "mail.read",
    "mail.archived",
    "assignment.set",
    "assignment.cleared",
    "assignment.checked",
    "agent.assignment_checked",
    "agent.started",
    "agent.working",
    "agent.idle",
    "agent.nudged",
    "agent.stopped",
    "process.created",
    "process.step_started",
    "process.step_completed",
    "process.completed",
    "process.cancelled",
    "sprint.created",
    "verify.started",
    "verify.spec_created",
    "verify.tests_generated",
    "verify.test_executed",
    "verify.audited",
    "verify.verdict",
    "qa.merged",
    "qa.rejected",
    "patrol.completed",
];

/// Whether a type has a meaning here.
pub fn is_known(kind: &str) -> bool {
    KNOWN.contains(&kind) || kind.starts_with("adopted.")
}
