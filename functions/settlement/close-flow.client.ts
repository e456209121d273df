import { ExecutionAlreadyExists, SFNClient, StartExecutionCommand } from '@aws-sdk/client-sfn'

const client = new SFNClient({})

/** Name of the execution that closes the epoch by request. */
export const startClose = async (stateMachineArn: string, epoch: number): Promise<string> => {
  const name = `requested-epoch-${epoch}`
  try {
    await client.send(new StartExecutionCommand({ stateMachineArn, name, input: '{}' }))
  } catch (error) {
    if (!(error instanceof ExecutionAlreadyExists)) throw error
  }
  return name
}
