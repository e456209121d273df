import { Records } from '#registry/records.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { Models } from './models.store.ts'

const models = new Models(new Records(environment('REGISTRY_TABLE').REGISTRY_TABLE))

export const handler = apiDoor('listModels', async () => ({ object: 'list', data: await models.list() }))
