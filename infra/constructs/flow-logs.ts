import { Aws, Names, RemovalPolicy } from 'aws-cdk-lib'
import { LogGroup } from 'aws-cdk-lib/aws-logs'
import type { Construct } from 'constructs'
import { House } from './house.ts'

/** Log group of a state machine, under the prefix that keeps the account's log resource policy short. */
export const flowLogs = (scope: Construct): LogGroup => {
  const { config } = House.of(scope)
  return new LogGroup(scope, 'FlowLogs', {
    logGroupName: `/aws/vendedlogs/states/${Aws.STACK_NAME}-${Names.uniqueResourceName(scope, { maxLength: 60 })}`,
    retention: config.logRetentionDays as number,
    removalPolicy: config.stage === 'prod' ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
  })
}
