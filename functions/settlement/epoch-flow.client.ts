import { SFNClient, StartExecutionCommand } from '@aws-sdk/client-sfn'

const client = new SFNClient({})

/** Starts the epoch-close state machine. Executions may overlap: every step is idempotent. Returns the execution's ARN. */
export const startEpochClose = async (stateMachineArn: string, requestedBy: string): Promise<string> => {
  const { executionArn } = await client.send(
    new StartExecutionCommand({ stateMachineArn, input: JSON.stringify({ requestedBy }) }),
  )
  return executionArn!
}
