/** Texts both the customer's page and the workbench show. */
import { texts } from './locale'

export const t = texts({
  write: ['输入消息…', '輸入訊息…', 'Write a message…'],
  send: ['发送', '傳送', 'Send'],
  sending: ['发送中', '傳送中', 'Sending'],
  sent: ['已发送', '已傳送', 'Sent'],
  read: ['已读', '已讀', 'Read'],
  failed: ['未发送', '未傳送', 'Not sent'],
  retry: ['重试', '重試', 'Retry'],
  discard: ['删除', '刪除', 'Delete'],
  typing: ['对方正在输入', '對方正在輸入', 'Typing'],
  messages: ['聊天记录', '聊天紀錄', 'Messages'],
  newMessages: ['{n} 条新消息', '{n} 則新訊息', 'New messages: {n}'],
  latest: ['回到最新', '回到最新', 'Latest'],
  earlier: ['显示更早的消息', '顯示更早的訊息', 'Show earlier messages'],
  bot: ['机器人', '機器人', 'Bot'],
  assistant: ['智能助手', '智慧助理', 'Virtual assistant'],
  reconnecting: ['连接中断，正在重连…', '連線中斷，正在重新連線…', 'Connection lost, reconnecting…'],
  loading: ['正在加载…', '正在載入…', 'Loading…'],
  product: ['商品', '商品', 'Product'],
  productGone: ['商品已下架', '商品已下架', 'No longer for sale'],
  productUnreachable: ['暂时无法显示商品', '暫時無法顯示商品', 'The product cannot be shown now'],
  soldOut: ['已售罄', '已售完', 'Sold out'],
  viewProduct: ['查看', '查看', 'View'],
  charactersLeft: ['还可输入 {n} 字', '還可輸入 {n} 字', '{n} characters left'],
  CHAT_ENDED: ['会话已结束', '對話已結束', 'The chat has ended'],
  CONTENT_TOO_LONG: ['消息太长', '訊息太長', 'The message is too long'],
  PRODUCT_NOT_FOUND: ['商品已下架', '商品已下架', 'No longer for sale'],
  INVALID_MESSAGE: ['这条消息无法发送', '這則訊息無法傳送', 'This message cannot be sent'],
})

/** A short reason for a failed message, where there is a better one than "not sent". */
export function failureWord(code: string): string {
  switch (code) {
    case 'CHAT_ENDED':
    case 'CONTENT_TOO_LONG':
    case 'INVALID_MESSAGE':
    case 'PRODUCT_NOT_FOUND':
      return t(code)
    default:
      return t('failed')
  }
}
