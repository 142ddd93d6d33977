//! The trades that postings and workers are matched by.

use serde::{Deserialize, Serialize};

/// A trade. The order is that of the bit masks that workers are stored with:
/// append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Category {
    /// Meals, groceries, on-demand delivery.
    DeliveryRider,
    /// Parcels and goods by route.
    Courier,
    /// Ride-hailing, lorry, van, chauffeur.
    Driver,
    /// Storekeeping, tallying, picking, forklift.
    Warehouse,
    /// Sorting, packing, loading.
    SortingPacking,
    /// Domestic service, nanny, confinement and elder care.
    Housekeeping,
    /// Cleaning of offices, hotels and public places.
    Cleaning,
    /// Labelling and collecting data for AI, and its quality check.
    AiAnnotation,
    /// Telephone and online service, not sales.
    CustomerService,
    /// Assembly, sewing, machines, production.
    Factory,
    /// Kitchen, waiting, shop, till.
    CateringRetail,
    /// Guards.
    Security,
    /// Building and fitting trades.
    Construction,
    /// Farm, forest and fishery work.
    Agriculture,
    /// All else: offices, IT, sales, management, professions.
    Other,
}

impl Category {
    /// Every category, in the order of its number.
    pub const ALL: [Category; 15] = [
        Category::DeliveryRider,
        Category::Courier,
        Category::Driver,
        Category::Warehouse,
        Category::SortingPacking,
        Category::Housekeeping,
        Category::Cleaning,
        Category::AiAnnotation,
        Category::CustomerService,
        Category::Factory,
        Category::CateringRetail,
        Category::Security,
        Category::Construction,
        Category::Agriculture,
        Category::Other,
    ];

    /// The name in answers, `delivery_rider`.
    pub fn code(self) -> &'static str {
        match self {
            Category::DeliveryRider => "delivery_rider",
            Category::Courier => "courier",
            Category::Driver => "driver",
            Category::Warehouse => "warehouse",
            Category::SortingPacking => "sorting_packing",
            Category::Housekeeping => "housekeeping",
            Category::Cleaning => "cleaning",
            Category::AiAnnotation => "ai_annotation",
            Category::CustomerService => "customer_service",
            Category::Factory => "factory",
            Category::CateringRetail => "catering_retail",
            Category::Security => "security",
            Category::Construction => "construction",
            Category::Agriculture => "agriculture",
            Category::Other => "other",
        }
    }

    /// The category with this code.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.code() == code)
    }

    /// What a worker reads.
    pub fn title_zh(self) -> &'static str {
        match self {
            Category::DeliveryRider => "外卖骑手",
            Category::Courier => "快递员",
            Category::Driver => "司机",
            Category::Warehouse => "仓库理货",
            Category::SortingPacking => "分拣打包",
            Category::Housekeeping => "家政护理",
            Category::Cleaning => "保洁",
            Category::AiAnnotation => "数据标注",
            Category::CustomerService => "客服",
            Category::Factory => "工厂普工",
            Category::CateringRetail => "餐饮零售",
            Category::Security => "保安",
            Category::Construction => "建筑安装",
            Category::Agriculture => "农林牧渔",
            Category::Other => "其他",
        }
    }

    /// This category's bit in a mask.
    pub fn bit(self) -> u32 {
        1 << self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_bits_go_both_ways() {
        for (i, c) in Category::ALL.into_iter().enumerate() {
            assert_eq!(Category::parse(c.code()), Some(c));
            assert_eq!(c.bit(), 1 << i);
            assert_eq!(serde_json::to_value(c).unwrap(), c.code());
        }
    }
}
