import { texts, type Row } from '../shared/locale'
import type { Product } from '../shared/products'
import { demoId } from './drawings'

export const t = texts({
  shop: ['山行户外', '山行戶外', 'Ridgeline Outdoor'],
  claim: ['轻装上山，安心下山', '輕裝上山，安心下山', 'Pack light. Come home happy.'],
  about: [
    '为周末徒步和长线穿越准备的少而精的装备。',
    '為週末健行與長程縱走準備的少而精的裝備。',
    'A small range of well-made gear for weekend walks and long traverses.',
  ],
  picks: ['本季推荐', '本季推薦', 'This season'],
  buy: ['加入购物车', '加入購物車', 'Add to cart'],
  added: ['已加入', '已加入', 'Added'],
  cart: ['购物车 {n}', '購物車 {n}', 'Cart {n}'],
  help: ['客服', '客服', 'Help'],
  openChat: ['打开客服', '開啟客服', 'Open chat'],
  closeChat: ['关闭客服', '關閉客服', 'Close chat'],
  back: ['全部商品', '全部商品', 'All products'],
  soldOut: ['已售罄', '已售完', 'Sold out'],
  alsoViewed: ['看过这件的人也看了', '看過這件的人也看了', 'People who viewed this also viewed'],
  popular: ['大家都在看', '大家都在看', 'Popular now'],
  loading: ['正在加载…', '正在載入…', 'Loading…'],
  gone: ['这件商品已下架', '這件商品已下架', 'This product is no longer for sale'],
  unreachable: ['商品暂时无法显示，请稍后刷新', '商品暫時無法顯示，請稍後重新整理', 'Products cannot be shown right now; please reload in a moment'],
  note: ['kefu 演示商店，商品均为虚构', 'kefu 示範商店，商品均為虛構', 'A demo shop for kefu; every product is made up'],
})

/** A catalogue speaks one language. The demo's own products are told in all three, by their ids. */
const NAMES: Record<string, Row> = {
  [demoId(1)]: ['两人帐篷「云脊」', '雙人帳篷「雲脊」', 'Cloudridge two-person tent'],
  [demoId(2)]: ['轻量背包 38 L', '輕量背包 38 L', '38 L light pack'],
  [demoId(3)]: ['钛保温壶 750 ml', '鈦保溫瓶 750 ml', '750 ml titanium flask'],
  [demoId(4)]: ['头灯 450 lm', '頭燈 450 lm', '450 lm headlamp'],
  [demoId(5)]: ['四人家庭帐篷「云谷」', '四人家庭帳篷「雲谷」', 'Cloudvale four-person family tent'],
  [demoId(6)]: ['帐篷地布 210 × 140 cm', '帳篷地布 210 × 140 cm', 'Tent footprint 210 × 140 cm'],
  [demoId(7)]: ['羽绒睡袋 -5 ℃', '羽絨睡袋 -5 ℃', 'Down sleeping bag -5 °C'],
  [demoId(8)]: ['充气睡垫 R 值 4.2', '充氣睡墊 R 值 4.2', 'Inflatable pad, R 4.2'],
  [demoId(9)]: ['折叠日用包 18 L', '摺疊日用包 18 L', '18 L folding daypack'],
  [demoId(10)]: ['碳纤维登山杖（一对）', '碳纖維登山杖（一對）', 'Carbon trekking poles (pair)'],
  [demoId(11)]: ['一体式气炉 900 ml', '一體式氣爐 900 ml', '900 ml integrated stove'],
  [demoId(12)]: ['充电露营灯 1000 lm', '充電露營燈 1000 lm', 'Rechargeable lantern 1000 lm'],
}

const LINES: Record<string, Row> = {
  [demoId(1)]: ['1.4 kg，三季，五分钟搭好', '1.4 kg，三季，五分鐘搭好', '1.4 kg, three seasons, up in five minutes'],
  [demoId(2)]: ['贴背透气，腰封可拆', '貼背透氣，腰帶可拆', 'Breathable back, removable belt'],
  [demoId(3)]: ['12 小时保温，单手开盖', '12 小時保溫，單手開蓋', 'Warm for 12 hours, one-handed lid'],
  [demoId(4)]: ['USB-C 充电，IPX6 防水', 'USB-C 充電，IPX6 防水', 'USB-C, rain-proof to IPX6'],
}

export const nameOf = ({ id, name }: Product): string => (NAMES[id] ? texts({ name: NAMES[id] })('name') : name)
export const lineOf = ({ id }: Product): string => (LINES[id] ? texts({ line: LINES[id] })('line') : '')
