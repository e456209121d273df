import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb'
import type { APIGatewayProxyEvent, APIGatewayProxyResult } from 'aws-lambda'

const client = new DynamoDBClient()

/** Writes the request's id to the table and answers which headers it saw; 403 when IAM refuses the write. */
export async function putRecord(event: APIGatewayProxyEvent): Promise<APIGatewayProxyResult> {
  const { id } = JSON.parse(event.body ?? '{}') as { id: string }
  const headers = Object.keys(event.headers).map((name) => name.toLowerCase())
  try {
    await client.send(new PutItemCommand({ TableName: process.env['TABLE'], Item: { pk: { S: id } } }))
    return { statusCode: 201, body: JSON.stringify({ id, headers }) }
  } catch (error) {
    return { statusCode: 403, body: JSON.stringify({ name: (error as Error).name }) }
  }
}
