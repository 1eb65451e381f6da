/** The agents' workbench. */
import { createApp } from 'vue'
import '../shared/theme.css'
import WorkbenchApp from './WorkbenchApp.vue'

createApp(WorkbenchApp).mount('#app')
