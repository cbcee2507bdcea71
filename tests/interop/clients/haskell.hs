-- Haskell's haxr.
{-# LANGUAGE CPP #-}
import Codec.Binary.UTF8.String (decodeString)
import Control.Exception (try)
import Control.Monad (filterM, unless)
import Data.List (isInfixOf, sort)
import Network.XmlRpc.Client (Remote, remote)
import Network.XmlRpc.Internals (Value (..))
import Data.Version (showVersion)
import System.Environment (getArgs)
import System.Info (fullCompilerVersion)

name :: String
name = "naïve 名.txt"

call :: Remote a => String -> String -> a
call port method = remote ("http://localhost:" ++ port ++ "/RPC2") ("surfstore." ++ method)

update :: String -> String -> Int -> Value -> IO Bool
update port = call port "updatefile"

findLeader :: [String] -> IO String
findLeader ports = filterM (`call` "isLeader") ports >>= \leaders -> case leaders of
    [] -> findLeader ports
    leader : _ -> return leader

-- The library gives the bytes of names and strings. A file has a version and a value, usually a list.
files :: String -> IO [(String, (Int, Value))]
files leader = map (\(file, stored) -> (decodeString file, stored)) <$> call leader "getfileinfomap"

expect :: (Eq a, Show a) => a -> a -> IO ()
expect is should = unless (is == should) $ fail (show is ++ " is not " ++ show should)

-- A fault is an exception whose text contains the code.
expectFault :: String -> Int -> String -> IO ()
expectFault port code text = do
    outcome <- try (update port name 2 (ValueArray [])) :: IO (Either IOError Bool)
    case outcome of
        Left fault -> expect (("Error " ++ show code ++ ": " ++ text) `isInfixOf` show fault) True
        Right _ -> fail "no fault"

main :: IO ()
main = do
    ports <- getArgs
    leader <- findLeader ports
    let strings = ValueArray [ValueString "h1", ValueString "h2"]
    let ints = ValueArray [ValueInt 1, ValueInt 2]

    update leader name 1 strings >>= (`expect` True)
    update leader name 1 strings >>= (`expect` False)
    update leader "ints" 1 ints >>= (`expect` True)
    stored <- files leader
    expect (sort (map fst stored)) ["ints", name]
    expect (lookup name stored) (Just (1, strings))
    expect (lookup "ints" stored) (Just (1, ints))
    call leader "tester_getversion" name >>= (`expect` (1 :: Int))

    -- The library decodes `&amp;` in strings, but not in names.
    update leader "a&b" 1 (ValueArray [ValueString "c&d"]) >>= (`expect` True)
    encoded <- files leader
    expect (lookup "a&b" encoded) Nothing
    expect (lookup "a&amp;b" encoded) (Just (1, ValueArray [ValueString "c&d"]))

    expectFault (head (filter (/= leader) ports)) 2 "not the leader"
    call leader "crash" >>= (`expect` True)
    expectFault leader 1 "isCrashed"
    mapM_ (\port -> call port "ping" >>= (`expect` True)) ports
    call leader "restore" >>= (`expect` True)
    call leader "isCrashed" >>= (`expect` False)
    putStrLn ("haxr " ++ VERSION_haxr ++ " of GHC " ++ showVersion fullCompilerVersion)
