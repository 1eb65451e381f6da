/** The customer's page: also what a shop shows in its iframe. */
import { createApp } from 'vue'
import '../shared/theme.css'
import CustomerPage from './CustomerPage.vue'

createApp(CustomerPage).mount('#app')
