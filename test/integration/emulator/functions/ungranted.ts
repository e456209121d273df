export { putRecord as handler } from './put-record.ts'
