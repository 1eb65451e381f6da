import { texts } from '../shared/locale'

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
  note: ['kefu 演示商店，商品均为虚构', 'kefu 示範商店，商品均為虛構', 'A demo shop for kefu; every product is made up'],
  tent: ['两人帐篷「云脊」', '雙人帳篷「雲脊」', 'Cloudridge two-person tent'],
  tentLine: ['1.4 kg，三季，五分钟搭好', '1.4 kg，三季，五分鐘搭好', '1.4 kg, three seasons, up in five minutes'],
  pack: ['轻量背包 38 L', '輕量背包 38 L', '38 L light pack'],
  packLine: ['贴背透气，腰封可拆', '貼背透氣，腰帶可拆', 'Breathable back, removable belt'],
  bottle: ['钛保温壶 750 ml', '鈦保溫瓶 750 ml', '750 ml titanium flask'],
  bottleLine: ['12 小时保温，单手开盖', '12 小時保溫，單手開蓋', 'Warm for 12 hours, one-handed lid'],
  lamp: ['头灯 450 lm', '頭燈 450 lm', '450 lm headlamp'],
  lampLine: ['USB-C 充电，IPX6 防水', 'USB-C 充電，IPX6 防水', 'USB-C, rain-proof to IPX6'],
})
