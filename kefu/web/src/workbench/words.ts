import { texts, type Row } from '../shared/locale'
import type { ErrorCode } from '../shared/protocol'

export const t = texts({
  title: ['客服工作台', '客服工作台', 'Agent workbench'],
  // signing in
  signIn: ['登录', '登入', 'Sign in'],
  signingIn: ['正在登录…', '正在登入…', 'Signing in…'],
  username: ['用户名', '使用者名稱', 'Username'],
  password: ['密码', '密碼', 'Password'],
  signOut: ['退出登录', '登出', 'Sign out'],
  wrongPassword: ['用户名或密码不正确', '使用者名稱或密碼不正確', 'The username or the password is wrong'],
  linkSpent: [
    '登录链接已使用或已过期，请获取新的链接',
    '登入連結已使用或已過期，請取得新的連結',
    'This sign-in link has been used or has expired; ask for a new one',
  ],
  tooOften: ['尝试次数过多，请 {wait} 后再试', '嘗試次數過多，請 {wait} 後再試', 'Too many attempts; try again in {wait}'],
  unreachable: ['无法连接服务器，请检查网络后重试', '無法連線伺服器，請檢查網路後重試', 'The server cannot be reached; check the network and try again'],
  signedOut: ['登录已失效，请重新登录', '登入已失效，請重新登入', 'Your sign-in has ended; please sign in again'],
  // myself
  online: ['在线', '線上', 'Online'],
  busy: ['忙碌', '忙碌', 'Busy'],
  break: ['小休', '小休', 'Break'],
  lunch: ['午餐', '午餐', 'Lunch'],
  training: ['培训', '培訓', 'Training'],
  offline: ['离线', '離線', 'Offline'],
  status: ['我的状态', '我的狀態', 'My status'],
  capacity: ['进行中的会话', '進行中的對話', 'Chats in progress'],
  live: ['已连接', '已連線', 'Live'],
  reconnecting: ['重连中', '重新連線中', 'Reconnecting'],
  disconnected: ['连接已断开', '連線已中斷', 'Disconnected'],
  // the list
  queue: ['排队', '排隊', 'Queue'],
  mine: ['我的', '我的', 'Mine'],
  chats: ['会话列表', '對話列表', 'Chats'],
  noQueue: ['没有人在排队', '沒有人在排隊', 'Nobody is waiting'],
  noMine: ['还没有进行中的会话', '還沒有進行中的對話', 'No chats in progress'],
  you: ['你：', '你：', 'You: '],
  ai: ['机器人：', '機器人：', 'Bot: '],
  waited: ['已等待 {time}', '已等待 {time}', 'Waiting {time}'],
  urgent: ['紧急', '緊急', 'Urgent'],
  high: ['优先', '優先', 'High'],
  normal: ['普通', '普通', 'Normal'],
  unread: ['{n} 条未读', '{n} 則未讀', '{n} unread'],
  mineAndQueue: ['人工', '真人', 'People'],
  botChats: ['机器人', '機器人', 'Bot'],
  lists: ['会话分组', '對話分組', 'Lists of chats'],
  noBotChats: ['机器人没有在接待的会话', '機器人沒有正在接待的對話', 'The bot is serving nobody'],
  loading: ['正在加载…', '正在載入…', 'Loading…'],
  takeOver: ['接管', '接管', 'Take over'],
  visitor: ['访客 {id}', '訪客 {id}', 'Visitor {id}'],
  // one chat
  accept: ['接待', '接待', 'Accept'],
  acceptKeys: ['接待 (Alt+G)', '接待 (Alt+G)', 'Accept (Alt+G)'],
  decline: ['拒绝', '拒絕', 'Decline'],
  transfer: ['转接', '轉接', 'Transfer'],
  release: ['交还机器人', '交還機器人', 'Release to bot'],
  end: ['结束', '結束', 'End'],
  endQuestion: ['要结束与 {name} 的会话吗？', '要結束與 {name} 的對話嗎？', 'End the chat with {name}?'],
  cancel: ['取消', '取消', 'Cancel'],
  close: ['关闭', '關閉', 'Close'],
  back: ['返回列表', '返回列表', 'Back to the list'],
  details: ['客户资料', '客戶資料', 'Customer details'],
  waiting: ['等待人工', '等待真人', 'Waiting'],
  active: ['人工中', '真人服務中', 'In progress'],
  bot: ['机器人接待', '機器人接待', 'With the bot'],
  ended: ['已结束', '已結束', 'Ended'],
  full: ['接待数已满', '接待數已滿', 'All of your places are taken'],
  notOnline: ['重连后可用', '重新連線後可用', 'Available once reconnected'],
  choose: ['选择左侧的会话开始接待', '選擇左側的對話開始接待', 'Choose a chat on the left to begin'],
  waitingHint: ['客户正在等待，接待后即可对话', '客戶正在等待，接待後即可對話', 'The customer is waiting. Accept to start talking.'],
  endedHint: ['会话已结束', '對話已結束', 'This chat has ended'],
  // advice
  copilot: ['AI 助手', 'AI 助理', 'AI advice'],
  summary: ['会话摘要', '對話摘要', 'Summary'],
  source: ['来自知识库：{question}', '來自知識庫：{question}', 'From the knowledge base: {question}'],
  generated: ['由 AI 生成，请核对后发送', '由 AI 產生，請確認後傳送', 'Written by AI; check before sending'],
  // transfer
  transferTo: ['转接给', '轉接給', 'Transfer to'],
  nobody: ['没有其他在线的同事', '沒有其他線上的同事', 'No colleague is signed in'],
  reason: ['原因（选填）', '原因（選填）', 'Reason (optional)'],
  transferred: ['已转接给 {name}', '已轉接給 {name}', 'Transferred to {name}'],
  offered: ['已向 {name} 发出转接请求', '已向 {name} 發出轉接請求', '{name} has been asked to take the chat'],
  declined: ['{name} 拒绝了转接', '{name} 拒絕了轉接', '{name} declined the transfer'],
  expired: ['{name} 没有回应转接', '{name} 沒有回應轉接', '{name} did not answer the transfer'],
  colleague: ['同事', '同事', 'Your colleague'],
  offerFrom: ['{name} 想转接一个会话给你', '{name} 想轉接一個對話給你', '{name} wants to hand you a chat'],
  offeredToYou: ['分配给你', '分配給你', 'Offered to you'],
  secondsLeft: ['剩 {n} 秒', '剩 {n} 秒', '{n} s left'],
  arrived: ['收到转接的会话', '收到轉接的對話', 'A chat was handed to you'],
  left: ['会话已由 {name} 接手', '對話已由 {name} 接手', '{name} has this chat now'],
  taken: ['{name} 已在 {time} 接管', '{name} 已在 {time} 接管', '{name} took this chat at {time}'],
  withBot: ['会话已交还机器人', '對話已交還機器人', 'The bot has this chat again'],
  returned: ['会话已离开你的列表', '對話已離開你的列表', 'The chat has left your list'],
  // the customer
  customer: ['客户', '客戶', 'Customer'],
  identity: ['客户编号', '客戶編號', 'Customer id'],
  vip: ['VIP', 'VIP', 'VIP'],
  language: ['语言', '語言', 'Language'],
  topic: ['咨询主题', '諮詢主題', 'Topic'],
  calledFor: ['转人工原因', '轉真人原因', 'Why a person'],
  priority: ['优先级', '優先順序', 'Priority'],
  since: ['进入排队', '進入排隊', 'Joined the queue'],
  chatId: ['会话编号', '對話編號', 'Chat id'],
  rating: ['评价', '評價', 'Rating'],
  stars: ['{n} / 5', '{n} / 5', '{n} of 5'],
  // products
  products: ['商品', '商品', 'Products'],
  viewed: ['刚刚看过', '剛剛看過', 'Viewed just now'],
  recommended: ['推荐', '推薦', 'Recommended'],
  found: ['搜索结果', '搜尋結果', 'Found'],
  searchProducts: ['搜索商品…', '搜尋商品…', 'Search products…'],
  nothingFound: ['没有找到商品', '沒有找到商品', 'No product found'],
  nothingViewed: ['客户还没有看过商品', '客戶還沒有看過商品', 'The customer has viewed no product yet'],
  becauseViewed: ['因为看过 {name}', '因為看過 {name}', 'Because they viewed {name}'],
  fitsViews: ['与看过的商品相近', '與看過的商品相近', 'Goes with what they viewed'],
  fitsWords: ['与客户所说相符', '與客戶所說相符', 'Fits what they said'],
  popular: ['热门', '熱門', 'Popular'],
  soldOut: ['已售罄', '已售完', 'Sold out'],
  showProduct: ['发送商品卡片：{name}', '傳送商品卡片：{name}', 'Send the card of {name}'],
  showAfterAccept: ['接待后可发送：{name}', '接待後可傳送：{name}', '{name} can be sent once you have accepted'],
  cardSent: ['已发送：{name}', '已傳送：{name}', 'Sent: {name}'],
  productSent: ['[商品]', '[商品]', '[Product]'],
  nothingKnown: ['选择会话后在此显示客户资料', '選擇對話後在此顯示客戶資料', 'Choose a chat to see its customer'],
})

const REFUSALS: Partial<Record<ErrorCode, Row>> = {
  ALREADY_TAKEN: ['同事已接管这个会话', '同事已接管這個對話', 'A colleague has taken this chat'],
  AGENT_AT_CAPACITY: ['接待数已满，请先结束一个会话', '接待數已滿，請先結束一個對話', 'All places are taken; end a chat first'],
  AGENT_OFFLINE: ['对方不在线', '對方不在線', 'This colleague is not signed in'],
  AGENT_NOT_FOUND: ['找不到这位同事', '找不到這位同事', 'There is no such colleague'],
  NOT_WAITING: ['客户已不在排队', '客戶已不在排隊', 'The customer is no longer waiting'],
  CHAT_NOT_FOUND: ['找不到这个会话', '找不到這個對話', 'There is no such chat'],
  CHAT_ENDED: ['会话已结束', '對話已結束', 'This chat has ended'],
  INVALID_STATUS: ['会话当前状态不允许此操作', '對話目前狀態不允許此操作', 'The state of the chat does not allow this'],
  FORBIDDEN: ['你的角色没有此权限', '你的角色沒有此權限', 'Your role does not allow this'],
  RATE_LIMITED: ['操作太频繁，请稍候', '操作太頻繁，請稍候', 'Too much at once; please wait a moment'],
  OVERLOADED: ['系统繁忙，请稍后重试', '系統忙碌，請稍後重試', 'Busy right now; please try again'],
  INTERNAL: ['服务器出错，请重试', '伺服器發生錯誤，請重試', 'Something went wrong on the server; please try again'],
}

/** Why the server said no, in the page's language; null where we have no better words than its own. */
export function refusalText(code: ErrorCode): string | null {
  const row = REFUSALS[code]
  return row ? texts({ row })('row') : null
}

const REASONS: Record<string, Row> = {
  manual: ['客户要求转人工', '客戶要求轉真人', 'Asked for a person'],
  keyword: ['提到了人工关键词', '提到了真人關鍵詞', 'Used a keyword'],
  vip: ['VIP 客户', 'VIP 客戶', 'VIP customer'],
  fail_loop: ['机器人连续未能解答', '機器人連續未能解答', 'The bot failed repeatedly'],
  no_bot: ['机器人不可用', '機器人無法使用', 'The bot is not available'],
  agent_gone: ['原客服掉线，请优先接待', '原客服斷線，請優先接待', 'Their agent lost the connection'],
  taken_over: ['客服主动接管', '客服主動接管', 'An agent stepped in'],
}

/** Why a person was called; nothing for a chat that began with one, a person's own words as they are. */
export function reasonText(reason: string | null | undefined): string | null {
  if (!reason || reason === 'started') return null
  const row = REASONS[reason]
  return row ? texts({ row })('row') : reason
}
