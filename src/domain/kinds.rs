//! The types of events that have a meaning here. Others are kept and carried.

/// Every type of FORMATS, section 4, in the order of the alphabet.
pub const KNOWN: &[&str] = &[
    "agent.assignment_checked",
    "agent.idle",
    "agent.nudged",
    "agent.started",
    "agent.stopped",
    "agent.working",
    "assignment.cleared",
    "assignment.set",
    "mail.archived",
    "mail.delivered",
    "mail.read",
    "mail.sent",
    "patrol.completed",
    "process.cancelled",
    "process.completed",
    "process.created",
    "process.step_completed",
    "process.step_started",
    "qa.merged",
    "qa.rejected",
    "sprint.created",
    "verify.audited",
    "verify.spec_created",
    "verify.started",
    "verify.test_executed",
    "verify.tests_generated",
    "verify.verdict",
    "work_order.assigned",
    "work_order.closed",
    "work_order.commented",
    "work_order.created",
    "work_order.dependency_added",
    "work_order.dependency_removed",
    "work_order.labels_changed",
    "work_order.status_changed",
    "work_order.updated",
];

/// Whether a type has a meaning here. The older name of `agent.assignment_checked` is read, too.
pub fn is_known(kind: &str) -> bool {
    KNOWN.contains(&kind) || kind == "assignment.checked" || kind.starts_with("adopted.")
}
