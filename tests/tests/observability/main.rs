//! What is measured is documented, and what looks at it finds it: docs/metrics.md and deploy/observability.

mod dashboards;
mod documented;
mod live;
mod load;
mod page;
