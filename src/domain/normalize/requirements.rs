//! What a posting asks of a person, read from free text; and what no posting may
//! ask.

use super::plain;
use crate::domain::skill::Skill;

/// Ages and skills that a text names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub age_min: Option<u8>,
    pub age_max: Option<u8>,
    pub skills: Vec<Skill>,
}

/// The youngest and oldest ages that a posting may name.
pub const AGES: std::ops::RangeInclusive<i64> = 14..=100;

/// Reads a text of requirements: `18-45岁`, `18周岁以上`, `45岁以下`, and the words of
/// config/skills.toml.
pub fn read(text: &str) -> Asked {
    let text = plain(text);
    let (age_min, age_max) = ages(&text);
    Asked { age_min, age_max, skills: Skill::read(&text) }
}

fn ages(text: &str) -> (Option<u8>, Option<u8>) {
    let (mut least, mut most) = (None, None);
    for (at, _) in text.match_indices('岁') {
        let before = text[..at].trim_end_matches('周').trim_end();
        let after = &text[at + '岁'.len_utf8()..];
        let Some((age, head)) = last_number(before) else {
            continue;
        };
        let head_bare = head.trim_end().trim_end_matches('岁').trim_end_matches('周').trim_end();
        let lower = head_bare
            .strip_suffix(['-', '~', '～', '—', '–', '至', '到'])
            .and_then(|h| last_number(h.trim_end().trim_end_matches('岁').trim_end_matches('周')));
        if let Some((low, _)) = lower {
            (least, most) = (least.or(low), most.or(age));
        } else if ["以上", "及以上", "起", "含以上", "(含)以上"].iter().any(|w| after.starts_with(w))
            || ["年满", "满", "不低于", "大于", "至少"].iter().any(|w| head.ends_with(w))
        {
            least = least.or(age);
        } else if ["以下", "及以下", "以内", "之内", "(含)以下"].iter().any(|w| after.starts_with(w))
            || ["不超过", "小于", "不大于", "低于"].iter().any(|w| head.ends_with(w))
        {
            most = most.or(age);
        }
    }
    match (least, most) {
        (Some(low), Some(high)) if low > high => (None, None),
        ages => ages,
    }
}

/// The number that a text ends with, where it may be an age, and what is before it.
fn last_number(text: &str) -> Option<(Option<u8>, &str)> {
    let digits = text.bytes().rev().take_while(u8::is_ascii_digit).count();
    let head = &text[..text.len() - digits];
    let number: i64 = text[text.len() - digits..].parse().ok()?;
    Some((u8::try_from(number).ok().filter(|n| AGES.contains(&i64::from(*n))), head))
}

/// Words by which work is kept for one sex.
const ONE_SEX: [&str; 34] = [
    "限男",
    "限女",
    "招男",
    "招女",
    "只要男",
    "只要女",
    "要求男",
    "要求女",
    "男性",
    "女性",
    "男士",
    "女士",
    "男生",
    "女生",
    "男工",
    "女工",
    "男优先",
    "女优先",
    "性别男",
    "性别女",
    "性别:男",
    "性别:女",
    "不要女",
    "不要男",
    "不收女",
    "不收男",
    "男员工",
    "女员工",
    "maleonly",
    "femaleonly",
    "malesonly",
    "femalesonly",
    "menonly",
    "womenonly",
];

/// Words that say that both are welcome, or that speak of goods and guests. They
/// are taken out first.
const EITHER_SEX: [&str; 30] = [
    "男女均",
    "男女不限",
    "不限男女",
    "性别不限",
    "不限性别",
    "男女皆",
    "男女都",
    "男性女性",
    "男性或女性",
    "男士女士",
    "男士或女士",
    "无性别要求",
    "女装",
    "男装",
    "女鞋",
    "男鞋",
    "女包",
    "女性用品",
    "女性健康",
    "女性护理",
    "女性客户",
    "女性顾客",
    "女性用户",
    "女性消费",
    "女士内衣",
    "男士护肤",
    "女工程师",
    "女生宿舍",
    "男生宿舍",
    "女生宿管",
];

/// Whether a text keeps the work for one sex, or prefers one.
pub fn restricts_sex(text: &str) -> bool {
    let english = || text.as_bytes().windows(3).any(|w| w.eq_ignore_ascii_case(b"men") || w.eq_ignore_ascii_case(b"ale"));
    if !text.contains(['男', '女']) && !english() {
        return false;
    }
    let mut left = plain(text).replace(' ', "");
    for word in EITHER_SEX {
        if left.contains(word) {
            left = left.replace(word, "");
        }
    }
    ONE_SEX.iter().any(|w| left.contains(w))
}

/// Words of fraud, and of fees that are asked of workers.
const FRAUD: [&str; 48] = [
    "押金",
    "保证金",
    "定金",
    "风险金",
    "履约金",
    "诚意金",
    "培训费",
    "报名费",
    "服装费",
    "中介费",
    "介绍费",
    "建档费",
    "会员费",
    "入会费",
    "入职费",
    "工装费",
    "置装费",
    "资料费",
    "办证费",
    "手续费",
    "岗位费",
    "稳岗费",
    "开户费",
    "激活费",
    "加盟费",
    "培训贷",
    "先学后付",
    "贷款培训",
    "刷单",
    "刷信誉",
    "刷流水",
    "点赞赚",
    "点赞返",
    "拉人头",
    "垫付",
    "先交钱",
    "先付款",
    "先交费",
    "付费上岗",
    "交钱入职",
    "裸聊",
    "裸贷",
    "跑分",
    "洗钱",
    "出租银行卡",
    "出借银行卡",
    "网络赌博",
    "博彩",
];

/// Before a word, within a few characters of its clause, these take it back.
const NEGATIONS: [&str; 14] = ["不收", "无", "免", "不交", "不需", "零", "不用", "没有", "拒绝", "退还", "非", "严禁", "谨防", "杜绝"];

/// What others pay, or hold for the workers.
const OF_OTHERS: [(&str, &[&str]); 3] =
    [("垫付", &["公司", "企业", "我司", "工厂", "厂方", "政府"]), ("保证金", &["工资", "农民工"]), ("手续费", &["提现", "银行"])];

/// Whether a text speaks of fraud, or of fees asked of workers; 不收押金 does not.
pub fn speaks_of_fraud(text: &str) -> bool {
    // 保证金额无误 speaks of an amount.
    let stands = |word: &str, at: usize| !text[at + word.len()..].starts_with('额') && !is_denied(word, &text[..at]);
    FRAUD.iter().any(|word| text.match_indices(word).any(|(at, _)| stands(word, at)))
}

fn is_denied(word: &str, before: &str) -> bool {
    let clause = before.rsplit(['，', ',', '。', '；', '\n', '！', '!', ';']).next().unwrap_or_default();
    let skipped = clause.chars().count().saturating_sub(8);
    let near: String = clause.chars().skip(skipped).collect::<String>().replace("无论", "").replace("无需经验", "");
    let of_others = OF_OTHERS.iter().filter(|(w, _)| *w == word).any(|(_, whose)| whose.iter().any(|o| near.contains(o)));
    // 0押金 and 0元押金, but not 300元押金.
    let amount = near.trim_end_matches(['元', '入', '职', ' ']);
    let nothing = amount.strip_suffix(['0', '０']).is_some_and(|rest| !rest.ends_with(|c: char| c.is_numeric()));
    of_others || nothing || NEGATIONS.iter().any(|n| near.contains(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_from_text() {
        for (text, expected) in [
            ("18-45岁", (Some(18), Some(45))),
            ("年龄18～55周岁", (Some(18), Some(55))),
            ("18周岁-45周岁", (Some(18), Some(45))),
            ("18岁至45岁，吃苦耐劳", (Some(18), Some(45))),
            ("18周岁以上", (Some(18), None)),
            ("年满16周岁", (Some(16), None)),
            ("45岁以下", (None, Some(45))),
            ("45周岁及以下，初中以上", (None, Some(45))),
            ("年龄不超过50岁", (None, Some(50))),
            ("１８－４５岁", (Some(18), Some(45))),
            ("3岁以上儿童", (None, None)),
            ("45-18岁", (None, None)),
            ("25岁", (None, None)),
            ("无", (None, None)),
        ] {
            let asked = read(text);
            assert_eq!((asked.age_min, asked.age_max), expected, "{text}");
        }
    }

    #[test]
    fn a_restriction_by_sex_is_found_and_its_absence_too() {
        for text in
            ["限男", "仅限女性", "女性优先", "只招男工", "要求女，身高160", "男性，身体健康", "招女工10名", "female only", "性别：女"]
        {
            assert!(restricts_sex(text), "{text}");
        }
        for text in ["", "男女不限", "性别不限", "女装导购", "男女均可，18岁以上", "外卖骑手", "销售女性用品", "子女上学补贴"]
        {
            assert!(!restricts_sex(text), "{text}");
        }
    }

    #[test]
    fn fees_count_unless_they_are_denied() {
        for text in [
            "需交押金300元",
            "培训费自理",
            "手机刷单日结",
            "入职收保证金",
            "缴纳200元押金",
            "先交100元报名费",
            "工装费从工资里扣",
            "服装费自付",
            "需预付定金",
            "交风险金500",
            "办证费300元",
            "资料费50",
            "中介费一个月工资",
            "介绍费2000",
            "每人建档费80元",
            "成为会员交会员费",
            "入职费100",
            "先学后付，零基础入行",
            "可办培训贷",
            "贷款培训包就业",
            "淘宝刷信誉",
            "点赞赚佣金",
            "在家点赞返现",
            "拉人头有奖",
            "需自己垫付货款",
            "先交钱后上岗",
            "先付款再派单",
            "交钱入职",
            "裸聊主播",
            "跑分日赚千元",
            "出租银行卡",
            "网络赌博客服",
            "境外博彩推广",
            "押金离职可退",
            "无论做多久都扣押金",
            "无需经验，押金500",
            "每人押金 300",
            "手续费由应聘者承担",
            "激活费20元",
            "岗位费800元",
            "稳岗费三个月后退",
            "诚意金100元",
        ] {
            assert!(speaks_of_fraud(text), "{text}");
        }
        for text in [
            "不收押金",
            "0押金入职",
            "0元押金",
            "零押金",
            "无任何押金",
            "免培训费",
            "免费培训",
            "不收取任何费用和押金",
            "配车无押金",
            "普工",
            "押运员",
            "拒绝刷单",
            "谨防刷单诈骗",
            "不用交保证金",
            "没有中介费",
            "非中介，免介绍费",
            "公司垫付路费",
            "企业先行垫付社保",
            "农民工工资保证金",
            "严禁收取押金",
            "杜绝一切报名费",
            "不需要交服装费",
            "免押金用车",
            "负责收银",
            "会员服务",
            "保证金额准确无误地登记，杜绝保证金差错",
            "0元入职",
            "不交任何培训费",
            "无中介费、无报名费",
        ] {
            assert!(!speaks_of_fraud(text), "{text}");
        }
    }
}
