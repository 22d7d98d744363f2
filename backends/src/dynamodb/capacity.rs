//! How a table that is created is paid for: as the URL says, or as the table before it is.

use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{BillingMode, OnDemandThroughput, ProvisionedThroughput, TableDescription};

use super::error::{Cause, Failure};

/// What a table is paid for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Capacity {
    /// For what is used, up to a ceiling if there is one.
    OnDemand(Option<OnDemandThroughput>),
    /// For so many units a second, used or not.
    Provisioned {
        /// Read units.
        read_units: i64,
        /// Write units.
        write_units: i64,
    },
}

impl Capacity {
    /// That of a table that somebody may have changed since it was created.
    pub(super) fn of_table(table: &TableDescription) -> Self {
        let mode = table.billing_mode_summary().and_then(|summary| summary.billing_mode());
        let units = table.provisioned_throughput().and_then(|throughput| {
            let (read, write) = (throughput.read_capacity_units()?, throughput.write_capacity_units()?);
            (read > 0 && write > 0).then_some((read, write))
        });
        match (mode, units) {
            // A table that has always been provisioned has no summary.
            (None | Some(BillingMode::Provisioned), Some((read_units, write_units))) => {
                Self::Provisioned { read_units, write_units }
            }
            _ => Self::OnDemand(table.on_demand_throughput().cloned()),
        }
    }

    /// Asks for it along with the table.
    pub(super) fn ask(self, request: CreateTableFluentBuilder) -> Result<CreateTableFluentBuilder, Failure> {
        match self {
            Self::OnDemand(ceiling) => {
                Ok(request.billing_mode(BillingMode::PayPerRequest).set_on_demand_throughput(ceiling))
            }
            Self::Provisioned { read_units, write_units } => {
                let throughput = ProvisionedThroughput::builder()
                    .read_capacity_units(read_units)
                    .write_capacity_units(write_units)
                    .build()
                    .map_err(|_| Failure::unsent(Cause::Unmade))?;
                Ok(request.billing_mode(BillingMode::Provisioned).provisioned_throughput(throughput))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::{BillingModeSummary, ProvisionedThroughputDescription};

    use super::*;

    fn table(mode: Option<BillingMode>, units: Option<i64>) -> TableDescription {
        let summary = mode.map(|mode| BillingModeSummary::builder().billing_mode(mode).build());
        let throughput = units.map(|units| {
            ProvisionedThroughputDescription::builder()
                .read_capacity_units(units)
                .write_capacity_units(units)
                .build()
        });
        TableDescription::builder()
            .set_billing_mode_summary(summary)
            .set_provisioned_throughput(throughput)
            .build()
    }

    #[test]
    fn a_table_is_paid_for_as_its_description_says() {
        let provisioned = Capacity::Provisioned { read_units: 7, write_units: 7 };
        assert_eq!(Capacity::of_table(&table(None, Some(7))), provisioned, "it has never been anything else");
        assert_eq!(Capacity::of_table(&table(Some(BillingMode::Provisioned), Some(7))), provisioned);
        let on_demand = Capacity::OnDemand(None);
        // On demand, the units are told as zero.
        assert_eq!(Capacity::of_table(&table(Some(BillingMode::PayPerRequest), Some(0))), on_demand);
        assert_eq!(Capacity::of_table(&table(Some(BillingMode::PayPerRequest), None)), on_demand);
        assert_eq!(Capacity::of_table(&table(None, Some(0))), on_demand);
    }

    #[test]
    fn a_ceiling_on_demand_is_part_of_it() {
        let ceiling = OnDemandThroughput::builder().max_write_request_units(40).build();
        let capped = TableDescription::builder().on_demand_throughput(ceiling.clone()).build();
        assert_eq!(Capacity::of_table(&capped), Capacity::OnDemand(Some(ceiling)));
    }
}
