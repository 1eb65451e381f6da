/** A plausible shop, to see the chat where customers meet it. */
import { createApp } from 'vue'
import '../shared/theme.css'
import DemoShop from './DemoShop.vue'

createApp(DemoShop).mount('#app')
