import { Epochs } from '#ledger/epochs.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'

const epochs = new Epochs(environment('LEDGER_TABLE').LEDGER_TABLE)

export const handler = apiDoor('listEpochs', ({ query }) => epochs.list(query.limit, query.cursor))
