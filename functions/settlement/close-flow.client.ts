import { SFNClient, StartExecutionCommand } from '@aws-sdk/client-sfn'

const client = new SFNClient({})

/**
 * Starts the close. No name of our own: a name is used up by an execution that found nothing or was refused, and the
 * steps bear two closes at once (the log is fixed and the record written once).
 */
export const startClose = async (stateMachineArn: string, request: { reopen?: number } = {}): Promise<string> => {
  const input = JSON.stringify(request)
  const { executionArn } = await client.send(new StartExecutionCommand({ stateMachineArn, input }))
  return executionArn!.split(':').at(-1)!
}
