// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Test} from "forge-std/Test.sol";
import {OpenTimelock} from "../src/OpenTimelock.sol";
import {OpenToken} from "../src/OpenToken.sol";
import {WrappedOpen} from "../src/WrappedOpen.sol";
import {IWrappedNative} from "../src/interfaces/IWrappedNative.sol";

contract TokensTest is Test {
    address private bob = makeAddr("bob");

    function test_OpenTokenHasAFixedSupply() external {
        OpenToken token = new OpenToken(bob, 7);
        assertEq(token.totalSupply(), 7);
        assertEq(token.balanceOf(bob), 7);
        vm.expectRevert(OpenToken.ZeroHolder.selector);
        new OpenToken(address(0), 7);
    }

    function test_WrapAndUnwrap() external {
        WrappedOpen token = new WrappedOpen();
        vm.deal(bob, 5 ether);
        vm.startPrank(bob);
        vm.expectEmit(address(token));
        emit IWrappedNative.Deposit(bob, 2 ether);
        token.deposit{value: 2 ether}();
        (bool sent,) = address(token).call{value: 1 ether}("");
        assertTrue(sent);
        assertEq(token.balanceOf(bob), 3 ether);
        token.withdraw(3 ether);
        assertEq(bob.balance, 5 ether);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, bob, 0, 1));
        token.withdraw(1);
    }

    function test_RevertWhen_TheHolderRefusesTheCoin() external {
        WrappedOpen token = new WrappedOpen();
        token.deposit{value: 1}();
        vm.expectRevert(abi.encodeWithSelector(IWrappedNative.NativeTransferFailed.selector, address(this)));
        token.withdraw(1);
    }

    function test_UnknownCallsAreNotSwallowed() external {
        WrappedOpen token = new WrappedOpen();
        (bool ok,) = address(token).call(abi.encodeWithSignature("nothing(uint256)", 1));
        assertFalse(ok);
    }

    function test_TimelockDelaysChanges() external {
        address[] memory one = new address[](1);
        one[0] = bob;
        OpenTimelock timelock = new OpenTimelock(100, one, one);
        assertEq(timelock.getMinDelay(), 100);
        assertFalse(timelock.hasRole(timelock.DEFAULT_ADMIN_ROLE(), bob));
    }
}
