use super::*;

#[path = "titles.rs"]
mod titles;

/// `titles` are parted by `|`.
fn check(titles: &str, expected: Category) {
    let wrong: Vec<String> =
        titles.split('|').filter(|t| read(t, "").0 != expected).map(|t| format!("{t} -> {}", read(t, "").0.code())).collect();
    assert!(wrong.is_empty(), "{}: {wrong:#?}", expected.code());
}

#[test]
fn riders_and_couriers_are_told_apart() {
    check(
        "外卖骑手|美团骑手/包吃住+新人奖3500|送餐员|瑞幸咖啡配送骑手|急招配送员9000+|驻店配送员|\
         小象超市急招配送员/提供吃住/提供车电|进厂不如骑手送餐自由钱多|\
         我当骑手不会偷吃客人外卖，这可能和我的家教有关|重生之我在美团送外卖/可预支|跑腿员|\
         闪送员|入职快+提供车住+北京各区急招美团骑手|【星巴克配送员】为什么假装看不到本宫的招聘|\
         挣点外快回家过年+日入350+超市配送|公主可以没有骑士 但不能没有骑手|高薪配送员，站长直招|\
         送奶茶月入过万|肯德基驻店/包车住/可预支|骑手送餐游戏两不误|美团配送全城招募中|\
         9元/单 就近安排/配车管吃住/直招无押金",
        Category::DeliveryRider,
    );
    check("快递员|顺丰快递收派员|快递小哥|邮递员|送水工|物流配送员|送货员|中通快递派件员", Category::Courier);
}

#[test]
fn managers_and_engineers_of_a_trade_are_other() {
    check(
        "骑手运营经理|饿了么招聘配送站长|数据仓库工程师|自动驾驶算法工程师|保安公司副总经理|\
         弘阳集团-弘阳物业-保洁主管|仓库质控经理（广东）|物业客服经理|数据标注项目经理(北京）|\
         标注平台运维开发工程师(J10359)|python开发工程师（智能客服）|\
         Java开发工程师-金融（电销和客服平台）|销售经理（智能仓储）|智能 仓储项目经理|\
         自动化打包工具开发工程师|店长/卖场经理|电话销售|生产总监|呼叫平台运维工程师|\
         养殖事业部副总|外卖平台数据分析师|招聘手机APP试用员长期可做（司机）|\
         普工/操作工转IT行业 双休|护士/护理|房产店员/助理|美容师|施工员|物流文员|数据仓库|\
         美团外卖-产品运营|滴滴出行-高级开发工程师|种植牙咨询助理|数据库管理员|土木工程|安装工程全盘外帐|餐饮管理|招聘应用推广员/文员客服/日结150|园林绿化设计师|农业项目经理",
        Category::Other,
    );
}

#[test]
fn housekeeping_titles_are_read() {
    check(
        "保姆|住家保姆|不住家保姆|月嫂|金牌月嫂|育婴师|育儿嫂|住家育儿嫂|育婴师/保育员|保育员|\
         钟点工|家政|家政服务员|家政员|家政阿姨|住家阿姨|做饭阿姨|煮饭阿姨|护工|医院护工|\
         养老院护工|养老护理员|医疗护理员|陪护|病患陪护|住院陪护|照顾老人保姆|照顾老人|看护老人|\
         带孩子阿姨|看孩子做饭|家政保洁员|家庭保洁|家庭厨师|居家养老护理员|母婴护理师|产后康复师|\
         催乳师|助浴师|涉外保姆|白班保姆|接送孩子|养老院护理|护理员|失能老人护理员|托育员|\
         小时工阿姨|housekeeper|Nanny wanted|Caregivers",
        Category::Housekeeping,
    );
}

#[test]
fn agriculture_titles_are_read() {
    check(
        "采摘工|苹果采摘工|采茶工|茶叶采摘|拾花工|摘棉花工人|种植工|蔬菜种植员|大棚蔬菜种植工|\
         养殖工|养殖员|猪场饲养员|饲养员|养猪场饲养工|养鸡场工人养鸡|养牛工|放羊工|牧工|挤奶工|\
         农场工人|农工|果园工人|果树修剪工|嫁接工|育苗工|苗圃工|插秧工|除草工|农机手|\
         拖拉机驾驶员|收割机手|护林员|造林工|植树工|割胶工|园林绿化工|绿化养护工|花卉工|园艺工|\
         渔工|捕捞工|水产养殖工|食用菌采摘|蘑菇采摘工|枸杞采摘|砍甘蔗|中药材种植工|植保飞手|\
         farm worker|Fruit picker",
        Category::Agriculture,
    );
}

#[test]
fn the_other_trades_are_read() {
    check(
        "商务司机|专车司机|代驾司机|货车司机+包住+社保|阿里巴巴集团招聘货运司机|司机驾驶员|\
         送货司机|truck driver",
        Category::Driver,
    );
    check(
        "仓库管理员/库管|理货员|仓库|叉车司机|铲车/叉车工|托盘车工|美团小象超市招聘配拣理货|\
         拣货员",
        Category::Warehouse,
    );
    check("分拣员|包装工|心怡供应链招聘搬运工/装卸工|快递分拣员|打包工|仓库搬运工|外卖打包员", Category::SortingPacking);
    check("保洁|嘉兴麦德龙保洁|酒店客房服务员|环卫工人|医院保洁员|洗车工", Category::Cleaning);
    check(
        "数据标注|AI 训练师|人工智\u{202c}能训练师|百度数据标注员|数据标注工程师|数据采集员|\
         大厂+数据标注专员-（中文TTS）|智能训练师 (智能质检系统)|Data annotator",
        Category::AiAnnotation,
    );
    check("电话客服|客服顾问|网络/在线客服|案场客服|客户咨询热线/呼叫中心人员|客服专员/助理|话务员", Category::CustomerService);
    check(
        "普工|招聘普工/操作工|海得控制招聘折弯工|车工/铣工|CNC操作师傅|样衣工|测齿员（普工）|\
         焊锡工|电子厂 招聘残疾人：|缝纫工|经济开发区急招普工",
        Category::Factory,
    );
    check(
        "服务员|洗碗工|收银员|店员/营业员|促销/导购员|厨师/厨师长|Bravo 永辉超市招聘陈列员|\
         水吧/吧台/礼宾/客服助理|屈臣氏顾客服务专员（苏州）",
        Category::CateringRetail,
    );
    check("保安|万科物业招聘消防中控员|小区门卫|安检员|保安队长", Category::Security);
    check("木工|爱登堡电梯招聘电梯工|水电工|招聘电工|瓦工|塔吊司机|挖机司机|空调安装师傅", Category::Construction);
}

#[test]
fn a_description_helps_only_where_the_title_says_nothing() {
    assert_eq!(read("急招", "负责小区保洁，保洁员每天两班").0, Category::Cleaning);
    assert_eq!(read("数据仓库工程师", "保洁保洁保洁").0, Category::Other);
    assert_eq!(read("急招", "公司食堂有厨师").0, Category::Other);
    assert_eq!(read("", "").1, Confidence::None);
    assert_eq!(read("染缸工", ""), (Category::Factory, Confidence::Ending));
    assert_eq!(read("招收员工", "").0, Category::Other);
}

#[test]
fn occupations_are_those_of_the_table() {
    let code = |category, title| occupation(category, title).and_then(|o| Some((o.gb?, o.isco08?)));
    let pair = |gb: &str, isco: &str| Some((gb.to_owned(), isco.to_owned()));
    assert_eq!(TRADES.len(), 27);
    assert_eq!(code(Category::DeliveryRider, "急招骑手"), pair("4-10-08-01", "9621"));
    assert_eq!(code(Category::Driver, "货车司机"), pair("4-02-02-02", "8332"));
    assert_eq!(code(Category::Driver, "司机"), None);
    assert_eq!(code(Category::Housekeeping, "育婴师"), pair("4-10-01-01", "5311"));
    assert_eq!(code(Category::Warehouse, "叉车工"), pair("6-30-01-00", "8344"));
    assert_eq!(code(Category::Other, "站长"), None);
}
