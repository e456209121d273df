import { Epochs } from '#ledger/epochs.store'
import { apiDoor } from '#runtime/api-door'
import { environment } from '#runtime/environment'
import { startEpochClose } from './epoch-flow.client.ts'

const env = environment('LEDGER_TABLE', 'EPOCH_STATE_MACHINE_ARN')
const epochs = new Epochs(env.LEDGER_TABLE)

/** The operator closes the open epoch now. The flow itself decides whether there is anything to close. */
export const handler = apiDoor('closeEpoch', async ({ caller }) => ({
  epoch: await epochs.current(),
  execution: await startEpochClose(env.EPOCH_STATE_MACHINE_ARN, caller.accountId),
}))
